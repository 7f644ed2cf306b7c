import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { about } from '../about'
import type { Access, Deps } from '../deps'
import { chatPlugins } from '../plugins/chat'
import { idempotencyKeys, parseIdempotencyKey, visibleAscii } from './idempotency'
import { replyTo } from './reply'
import { EventStream, Question, Reply } from './schema'
import { replyStream } from './stream'
import { openTurn } from './turn'
import { Waiting } from './waiting'

export const chatRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/chat', tags: ['Chat'] }).use(access).post(
    '',
    async ({ principal, body, request, set }) => {
      const waiting = new Waiting(request.signal, deps.lifetime.cutoff)
      const open = async () => {
        const key = parseIdempotencyKey(request)
        // Before a plugin, a limit or a model is asked a second time.
        const replayed = key === undefined ? undefined : await idempotencyKeys(deps, principal, key).answered(body)
        if (replayed) return { replayed }
        const plugins = await chatPlugins(deps, principal.tenant_id, waiting.signal)
        const annotations = await plugins.admit(body.message)
        return await openTurn(deps, principal, body, { plugins, annotations, key })
      }
      const turn = await deps.lifetime.attend(open()).catch((error) => {
        waiting.over()
        throw error
      })
      const { conversation_id } = 'replayed' in turn ? turn.replayed : turn
      set.headers['x-conversation-id'] = conversation_id // of a reply that fails, nothing else says where the message is
      if ('replayed' in turn) set.headers['idempotency-replayed'] = 'true'
      else Object.assign(set.headers, turn.admission.headers)

      const answer = async (onText: (text: string) => void): Promise<Reply> => {
        if (!('replayed' in turn))
          return await replyTo(deps, turn, { stream: body.stream === true, signal: waiting.signal, onText })
        onText(turn.replayed.response)
        return turn.replayed
      }
      if (body.stream !== true) return await deps.lifetime.attend(answer(() => {}).finally(() => waiting.over()))

      const { response, finished } = replyStream(answer, {
        everyMs: deps.limits.heartbeatMs,
        requestId: about(request).request_id,
        reporter: deps.reporter,
        leave: () => waiting.leave(),
      })
      about(request).lasts = finished
      deps.lifetime.run(() => finished.finally(() => waiting.over()))
      return response
    },
    {
      permission: 'chat:write',
      body: Question,
      response: { 200: Type.Union([Reply, EventStream]) },
      detail: {
        summary: 'Send a message and get a reply, whole or streamed',
        parameters: [
          {
            name: 'Idempotency-Key',
            in: 'header',
            required: false,
            schema: { type: 'string', pattern: visibleAscii.source, maxLength: 255 },
          },
        ],
        description: [
          'Send `Idempotency-Key` to be able to repeat a request: it is stored and replied to once.',
          'Once the message is stored, every answer names its conversation in `X-Conversation-Id`, also that of a chat that fails.',
          'Chats are what the limits of the tenant (`requests_per_minute`, `monthly_token_quota`) are about, in UTC minutes and months: beyond them the answer is 429 with the code `rate_limited` or `quota_exceeded` and `Retry-After`. Where a limit is set, `RateLimit` says how much is left and `RateLimit-Policy` of how much. Whoever repeats a request that was answered before gets its answer, limits or not.',
        ].join('\n\n'),
      },
    },
  )
