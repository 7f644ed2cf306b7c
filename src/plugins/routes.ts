import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { EnabledPlugin, Enabling, PluginConfig, PluginPath, PluginState } from './schema'
import { pluginStore } from './store'

export const pluginRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/plugins', tags: ['Plugins'] })
    .use(access)
    .get('', ({ principal }) => pluginStore(deps, principal).list(), {
      permission: 'plugin:read',
      response: { 200: Type.Array(PluginState) },
      detail: { summary: 'List all plugins, and how the tenant has them' },
    })
    .get('/:name', ({ principal, params }) => pluginStore(deps, principal).get(params.name), {
      permission: 'plugin:read',
      params: PluginPath,
      response: { 200: PluginState },
      detail: { summary: 'Get a plugin' },
    })
    .post('/:name/enable', ({ principal, params, body }) => pluginStore(deps, principal).enable(params.name, body), {
      permission: 'plugin:manage',
      // A body is needed only for what it says.
      transform(context: { request: Request; body: unknown }) {
        if (context.body === null && hasNoBody(context.request)) context.body = {}
      },
      params: PluginPath,
      body: Enabling,
      response: { 200: EnabledPlugin },
      detail: {
        summary: 'Switch a plugin on',
        description: 'With the config that is stored, or with this one instead. The body may be left out.',
      },
    })
    .post('/:name/disable', ({ principal, params }) => pluginStore(deps, principal).disable(params.name), {
      permission: 'plugin:manage',
      params: PluginPath,
      response: { 200: PluginState },
      detail: { summary: 'Switch a plugin off', description: 'Its config stays.' },
    })
    .get('/:name/config', ({ principal, params }) => pluginStore(deps, principal).config(params.name), {
      permission: 'plugin:manage',
      params: PluginPath,
      response: { 200: PluginConfig },
      detail: { summary: 'Get the config of a plugin', description: 'Where none is stored, it is empty.' },
    })
    .put(
      '/:name/config',
      ({ principal, params, body }) => pluginStore(deps, principal).replaceConfig(params.name, body),
      {
        permission: 'plugin:manage',
        params: PluginPath,
        body: PluginConfig,
        response: { 200: PluginConfig },
        detail: { summary: 'Replace the config of a plugin' },
      },
    )
    .patch(
      '/:name/config',
      ({ principal, params, body }) => pluginStore(deps, principal).mergeConfig(params.name, body),
      {
        permission: 'plugin:manage',
        params: PluginPath,
        body: PluginConfig,
        response: { 200: PluginConfig },
        detail: { summary: 'Change the config of a plugin', description: 'Merged as RFC 7386 says: null removes.' },
      },
    )
    .delete(
      '/:name/config',
      async ({ principal, params, set }) => {
        await pluginStore(deps, principal).removeConfig(params.name)
        set.status = 204
      },
      {
        permission: 'plugin:manage',
        params: PluginPath,
        response: { 204: Type.Void() },
        detail: { summary: 'Remove the config of a plugin, and switch it off' },
      },
    )

const hasNoBody = ({ body, headers }: Request): boolean => body === null || headers.get('content-length') === '0'
