import { users as usersTable } from '../../src/database/tables'
import { newId } from '../../src/ids'
import { describe as inWords, lineReporter, type Reporter } from '../../src/reporter'
import { deps, describe, expect, test } from '../kit'
import { speaking } from '../speaking'

const canary = 'canary-5f1d'
const conversations = '/api/v1/conversations'

/** The database, but for one verb that throws. */
const broken = (verb: 'select' | 'update', thrown: Error) =>
  new Proxy(deps.database, {
    get: (target, name) => {
      if (name === verb) throw thrown
      return Reflect.get(target, name)
    },
  })

describe('a failure that nobody foresaw', () => {
  test('is a 500 that says nothing of itself, and is reported', async ({ users, takeErrors, operatorA }) => {
    const sql = 'Failed query: update "conversations" set "title" = $1'
    const thrown = Object.assign(new Error(`${sql}\nparams: ${canary}`), { query: sql, params: [canary] })
    const { body: created } = await operatorA.post(conversations, {})
    const path = `${conversations}/${created.id}`
    const victim = speaking(users.operatorA, { database: broken('update', thrown) })

    const response = await victim.patch(path, { title: canary })

    expect(response).toMatchObject({ status: 500, headers: { 'content-type': 'application/problem+json' } })
    expect(response.body).toEqual({
      type: 'urn:problem-type:internal',
      title: 'Something went wrong here',
      status: 500,
      detail: 'The request failed here; the request id finds it in the log.',
      code: 'internal',
      instance: path,
      request_id: response.headers['x-request-id'],
    })
    expect(takeErrors()).toEqual([thrown])
    expect(await operatorA.patch(path, { title: canary })).toMatchObject({ status: 200 })
  })

  test('in a provider keeps its words to itself too', async ({ operatorA, model, takeErrors }) => {
    model.fails(new Error(`${canary}: sk-live-key`)).says('Well')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hi' })

    expect(response).toMatchObject({ status: 500, body: { code: 'internal' } })
    expect(JSON.stringify(response)).not.toMatch(/canary|sk-live/)
    expect(takeErrors()).toMatchObject([{ message: `${canary}: sk-live-key` }])
    expect(await operatorA.post('/api/v1/chat', { message: 'Hi' })).toMatchObject({ status: 200 })
  })

  test.each([
    ['ECONNREFUSED'],
    ['CONNECT_TIMEOUT'],
    ['CONNECTION_CLOSED'],
    ['CONNECTION_SILENT'],
    ['EPIPE'],
    ['57P01'],
    ['25006'],
    ['57014'],
    ['53300'],
    ['40001'],
    ['40P01'],
    ['SQLITE_BUSY'],
    ['SQLITE_FULL'],
  ] as const)('of the connection to the database (%s) says when to come back', async (code, fixtures) => {
    const { users, viewerA } = fixtures
    const refused = Object.assign(new Error(`10.0.0.5:5432 refused ${canary}`), { code })
    const { lines, reporter } = written('json')
    const victim = speaking(users.viewerA, { database: broken('select', refused), reporter })

    const response = await victim.get('/api/v1/me')

    const detail = 'The database does not answer; try again shortly.'
    expect(response).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { code: 'internal', detail },
    })
    expect(JSON.stringify(response)).not.toMatch(/canary|10\.0\.0\.5|SQLITE|ECONN|57P01/)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 'warn' }])
    expect(await viewerA.get('/api/v1/me')).toMatchObject({ status: 200 })
  })
})

describe('a failure while the caller is let in', () => {
  test.each([
    ['an outage', Object.assign(new Error('gone'), { code: '57P01' }), 503, 0],
    ['a defect', new Error('defect'), 500, 1],
  ] as const)('is not taken for a mistake in the body: %s', async (_, thrown, status, unexpected, fixtures) => {
    const { users, operatorA, takeErrors } = fixtures
    const victim = speaking(users.operatorA, { database: broken('select', thrown) })

    const response = await victim.post(conversations, {})

    expect(response).toMatchObject({ status, body: { code: 'internal' } })
    expect(takeErrors()).toHaveLength(unexpected)
    expect(await operatorA.post(conversations, {})).toMatchObject({ status: 201 })
  })
})

/** A reporter whose lines a test can read. */
function written(format: 'json' | 'words'): { lines: string[]; reporter: Reporter } {
  const lines: string[] = []
  return { lines, reporter: lineReporter('info', format, (line) => lines.push(line)) }
}

describe('what is reported', () => {
  /** The error of a statement that the database itself refuses: no such role. */
  const refusedBy = async (tenant_id: string): Promise<unknown> => {
    const now = deps.clock.now()
    const row = {
      tenant_id,
      id: newId(deps.clock),
      external_id: canary,
      email: `${canary}@x.example`,
      display_name: null,
    }
    const role = canary as 'viewer' // the database has to say no, so the compiler must not
    return await deps.database
      .insert(usersTable)
      .values({ ...row, role, created_at: now, updated_at: now })
      .then(
        () => 'stored',
        (error: unknown) => error,
      )
  }

  test('names the statement that failed and never its parameters', async ({ tenantA }) => {
    const error = await refusedBy(tenantA.id)

    const words = inWords(error)

    expect(words).toStartWith('DrizzleQueryError in insert into "users"')
    expect(words).not.toContain(canary)
    expect(JSON.stringify(Object.entries(Object(error)))).toContain(canary)
  })

  test.each([['json'], ['words']] as const)(
    'is one line without data, as %s',
    async (format, { tenantA, users, operatorA }) => {
      const { lines, reporter } = written(format)
      const error = await refusedBy(tenantA.id)
      const database = broken('update', Object.assign(new Error('failed'), { cause: error }))
      const victim = speaking(users.operatorA, { database, reporter })
      const { body: created } = await operatorA.post(conversations, {})

      const response = await victim.patch(`${conversations}/${created.id}`, { title: canary })

      expect(response.status).toBe(500)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toEndWith('\n')
      expect(lines[0]?.trimEnd()).not.toContain('\n')
      expect(lines[0]).toContain(response.body.request_id)
      expect(lines[0]).toContain('DrizzleQueryError')
      expect(lines[0]).not.toContain(canary)
    },
  )

  test.each([['json'], ['words']] as const)('stays one line whatever it quotes, as %s', async (format, { clock }) => {
    const { lines, reporter } = written(format)
    const forged = 'title\r\n2026-03-02 error forged\u2028\u2029\u0085\u001b[31mred\u001b[2J\u0000\b'

    reporter.info(forged, { agent: forged, at: clock.now().toISOString() })
    reporter.unexpected(new Error(forged), { agent: forged })

    expect(lines).toHaveLength(2)
    expect(lines.map((line) => line.trimEnd().split(/[\r\n\u2028\u2029\u0085]/).length)).toEqual([1, 1])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect(lines.join('').replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    expect(lines.map((line) => line.includes('forged'))).toEqual([true, true])
  })
})
