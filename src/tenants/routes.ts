import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { TenantSettings, TenantSettingsChange } from './schema'
import { tenantSettings } from './store'

export const tenantRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/admin/tenant/settings', tags: ['Tenant'] })
    .use(access)
    .get('', ({ principal }) => tenantSettings(deps, principal).get(), {
      permission: 'tenant:manage',
      response: { 200: TenantSettings },
      detail: { summary: 'Get the settings of the tenant' },
    })
    .patch('', ({ principal, body }) => tenantSettings(deps, principal).change(body), {
      permission: 'tenant:manage',
      body: TenantSettingsChange,
      response: { 200: TenantSettings },
      detail: { summary: 'Change the settings of the tenant' },
    })
