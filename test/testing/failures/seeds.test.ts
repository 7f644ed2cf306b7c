import { describe, expect, test } from 'bun:test'
import { backend, bunTest } from './child'

describe(`on ${backend}`, () => {
  test('a seed that fails is named by each test of its group, and by no other', async () => {
    const { says } = await bunTest('seeds.ts')

    const message =
      /The seed of "a group whose seed fails" failed, and with it each test that starts from it: (no such table: nowhere|relation "nowhere" does not exist)/
    expect(says['a group whose seed fails > one']).toMatch(message)
    expect(says['a group whose seed fails > two']).toMatch(message)
    expect(says['a group with a seed > is not harmed by it']).toBe('')
  })

  test('a seed that returns what every test has under that name is refused, and not shadowed by it', async () => {
    const { says } = await bunTest('seeds.ts')

    expect(says['a group whose seed takes a name > that every test has']).toContain(
      'The seed of "a group whose seed takes a name" failed, and with it each test that starts from it: It returned "alice", which every test has already: call it something else.',
    )
    expect(says['a group with a seed > is not harmed by it']).toBe('')
  })

  test('a failing prepare() says so', async () => {
    const { output, exitCode } = await bunTest('prepare.ts')

    expect(exitCode).toBe(1)
    expect(output).toMatch(
      /error: The making of the database of the run failed, and with it each test that starts from it: prepare\(\), which makes the tables, failed: .*syntax error/,
    )
  })
})

describe('the database of the run', () => {
  test('is refused when its URL is of no kind that is known, without the URL', async () => {
    const { output, exitCode } = await bunTest('quiet.ts', { database: 'mysql://root:secret@localhost/notes' })

    expect(exitCode).toBe(1)
    expect(output).toContain(
      'error: TESTING_DATABASE_URL must be postgres:embedded, postgres://..., sqlite::memory: or sqlite:<file>; what it is begins with "mysql".',
    )
    expect(output).not.toContain('secret')
  })

  test('is said not to answer when its server is down, without the password', async () => {
    const { output, exitCode } = await bunTest('quiet.ts', { database: 'postgres://app:secret@127.0.0.1:1/notes' })

    expect(exitCode).toBe(1)
    expect(output).toMatch(
      /error: The database server at 127\.0\.0\.1:1 does not answer: .*ECONNREFUSED.*\. Start it and let its user create databases, or choose another database for the tests: TESTING_DATABASE_URL=postgres:embedded or sqlite::memory:\./,
    )
    expect(output).not.toContain('secret')
  })

  test('comes from DATABASE_URL when nothing else is said, and is in memory when that is not there either', async () => {
    const named = await bunTest('quiet.ts', { database: '', env: { DATABASE_URL: 'mysql://localhost/notes' } })
    const unnamed = await bunTest('quiet.ts', { database: '' })

    expect(named.output).toContain('error: DATABASE_URL must be postgres:embedded,')
    expect(unnamed).toMatchObject({ exitCode: 0, says: { passes: '' } })
  })
})
