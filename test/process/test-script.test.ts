import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnv } from '../testing/failures/child'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'test-script-'))
afterAll(() => rmSync(folder, { recursive: true }))

const script = join(import.meta.dir, '../../scripts/test.ts')

const some = `import { expect, test } from 'bun:test'
test('is right', () => {})
test('is not right', () => expect(1).toBe(2))
test.skip('is left out', () => {})
test('takes too long', () => new Promise(() => {}), 20)
`
/** Of so many, Bun itself lists again at the end which failed. */
const many = "test.each(Array.from({ length: 100 }, (_, n) => [n]))('is one of many: %d', () => {})\n"
const unreadable = "throw new Error('cannot be read')\n"

async function run(name: string, source: string) {
  const file = join(folder, name)
  writeFileSync(file, source)
  const child = Bun.spawn([process.execPath, script, file], {
    env: childEnv({}),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const output = await new Response(child.stdout).text()
  return { exitCode: await child.exited, output, lines: output.trimEnd().split('\n') }
}

describe('bun run test, where tests fail,', () => {
  let result: Awaited<ReturnType<typeof run>>
  beforeAll(async () => {
    result = await run('some.test.ts', some + many)
  })

  test('fails, and counts what came of both databases', () => {
    expect(result.exitCode).toBe(1)
    expect(result.lines.at(-1)).toBe('202 passed, 4 failed, 2 skipped')
  })

  test('names them at its end', () => {
    expect(result.lines.slice(-6, -2).map((line) => line.replace(/\S*\//, '').replace(/ \[.*/, ''))).toEqual([
      'SQLite, some.test.ts: (fail) is not right',
      'SQLite, some.test.ts: (fail) takes too long',
      'PostgreSQL, some.test.ts: (fail) is not right',
      'PostgreSQL, some.test.ts: (fail) takes too long',
    ])
  })

  test('says of each again what was wrong with it', () => {
    const again = result.output.split('\nSQLite, ').slice(1).join('')
    expect(again).toContain('Expected: 2')
    expect(again).toContain('this test timed out after 20ms')
    expect(again).not.toContain('(pass)')
  })
})

describe('bun run test', () => {
  test('says so, and no more, where nothing fails', async () => {
    const { exitCode, lines } = await run('right.test.ts', some.split('\n').slice(0, 2).join('\n'))
    expect(exitCode).toBe(0)
    expect(lines.slice(-2)).toEqual(['', '2 passed, 0 failed'])
    expect(lines.filter((line) => line.includes('right.test.ts'))).toEqual([])
  })

  test('fails where a file cannot be read, and names it', async () => {
    const { exitCode, output, lines } = await run('unreadable.test.ts', unreadable)
    expect(exitCode).toBe(1)
    expect(output).toContain('error: cannot be read')
    expect(lines.at(-3)).toEndWith('unreadable.test.ts: # Unhandled error between tests')
    expect(lines.at(-1)).toBe('0 passed, 2 failed')
  })

  test('fails where no test was run', async () => {
    const { exitCode, lines } = await run('empty.test.ts', '')
    expect(exitCode).toBe(1)
    expect(lines.slice(-4)).toEqual([
      expect.stringMatching(/^SQLite: 0 tests, exit code /),
      expect.stringMatching(/^PostgreSQL: 0 tests, exit code /),
      '',
      '0 passed, 2 failed',
    ])
  })
})
