import { Database } from 'bun:sqlite'
import { expect, describe as group, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { DrizzleQueryError } from 'drizzle-orm'
import { Elysia } from 'elysia'
import type { LogLevel } from '../../src/config'
import { AppError } from '../../src/errors'
import { toAppError } from '../../src/problem'
import { describe, lineReporter } from '../../src/reporter'

/** A reporter that writes into a list. */
function reporter(level: LogLevel, format: 'json' | 'words') {
  const lines: string[] = []
  return { lines, ...lineReporter(level, format, (line) => lines.push(line)) }
}

const thrown = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

group('a log line', () => {
  test('in production is JSON with time, level, message and fields', () => {
    const { lines, info } = reporter('info', 'json')

    info('Listens.', { url: 'http://127.0.0.1:3000', port: 3000, ready: true, none: undefined })

    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'info',
      message: 'Listens.',
      url: 'http://127.0.0.1:3000',
      port: 3000,
      ready: true,
    })
  })

  test('in development is words', () => {
    const { lines, warn } = reporter('info', 'words')

    warn('Slow.', { ms: 120, none: undefined, path: '/x' })

    expect(lines).toEqual(['warn Slow. ms=120 path=/x\n'])
  })

  test.each([
    ['debug', ['info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('is written from the level %s on', (level, expected) => {
    const { lines, info, warn, unexpected } = reporter(level, 'words')

    info('one')
    warn('two')
    unexpected(new Error('three'))

    expect(lines.map((line) => line.split(' ', 1)[0] ?? '')).toEqual([...expected])
  })

  const controls = ['\r', '\n', '\u001b', '\u0000', '\u007f', '\u009b', '\u2028', '\u2029']
  const hostile = `a${controls.join('error forged')}b`

  test.each(['json', 'words'] as const)('as %s stays one line that moves no cursor, whatever it says', (format) => {
    const { lines, info, unexpected } = reporter('info', format)

    info(hostile, { title: hostile })
    unexpected(new Error(hostile), { title: hostile })

    expect(lines.map((line) => line.endsWith('\n'))).toEqual([true, true])
    expect(lines.flatMap((line) => controls.filter((control) => line.slice(0, -1).includes(control)))).toEqual([])
  })

  test('as JSON gives back what was said', () => {
    const { lines, info } = reporter('info', 'json')

    info(hostile)

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: hostile })
  })
})

group('an error in words', () => {
  test.each([
    ['an error', new RangeError('too far'), 'RangeError: too far'],
    ['one with a code', Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' }), 'Error EHOSTUNREACH: no route'],
    ['one of ours', new AppError('conflict', 'It is taken.'), 'conflict: It is taken.'],
    ['one with a cause', new Error('outer', { cause: new Error('inner') }), 'Error: outer; because: Error: inner'],
    ['a text', 'sk-secret', 'Something was thrown that is not an error'],
    ['nothing', undefined, 'Something was thrown that is not an error'],
  ])('tells of %s what it is', (_, error, words) => {
    const described = describe(error)

    expect(described).toBe(words)
  })

  test('says of a failed query which it was and why, without the values', () => {
    const refused = thrown(() => {
      const database = new Database(':memory:')
      database.run('create table tokens (token text unique check (length(token) < 9))')
      database.query('insert into tokens values (?)').run('hush-hush-hush')
    })
    const error = new DrizzleQueryError('insert into tokens values (?)', ['hush-hush-hush'], refused as Error)

    const described = describe(error)

    expect(error.message).toContain('hush-hush-hush')
    expect(described).toBe(
      'DrizzleQueryError in insert into tokens values (?); because: SQLiteError SQLITE_CONSTRAINT_CHECK',
    )
  })

  test('knows the errors of databases whatever a bundler calls their classes', () => {
    class DrizzleQueryError2 extends DrizzleQueryError {}
    class PostgresError2 extends Error {
      override name = 'PostgresError2'
      code = '22P02'
      severity_local = 'ERROR'
    }
    const refused = new PostgresError2('invalid input syntax for type uuid: "hush-hush-hush"')
    const error = new DrizzleQueryError2('select $1::uuid', ['hush-hush-hush'], refused)

    const described = describe(error)

    expect(described).toBe('DrizzleQueryError2 in select $1::uuid; because: PostgresError2 22P02')
  })

  test('says of an answer that does not fit its schema where and why, without what it is', async () => {
    let error: unknown
    const app = new Elysia()
      .onError(({ error: found }) => {
        error = found
      })
      .get('/', () => ({ name: 'hush-hush-hush', role: 'viewer' }), {
        response: Type.Object({ name: Type.String({ maxLength: 3 }), role: Type.String() }),
      })
    await app.handle(new Request('http://localhost/'))

    const described = describe(toAppError(error))

    expect(String(error)).toContain('hush-hush-hush')
    expect(described).toBe(
      'internal: The request failed here; the request id finds it in the log.; because: Error: The answer is not as its schema says: /name must have a length less or equal to 3',
    )
  })

  test('comes with the place in our code, not in that of others', () => {
    const { lines, unexpected } = reporter('info', 'json')
    const error = new Error('deep')
    error.stack = [
      'Error: deep',
      '    at query (/app/node_modules/postgres/src/connection.js:10:5)',
      '    at async list (/app/src/users/store.ts:20:7)',
      '    at async serve (/app/src/app.ts:30:9)',
    ].join('\n')

    unexpected(error)

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', at: 'src/users/store.ts:20:7' })
  })
})
