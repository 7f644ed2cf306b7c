import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { emptyDatabase } from '../own-database'
import { startServer } from './program'

// A whole program is built here, which takes as long as the machine is busy.
setDefaultTimeout(120_000)

const root = join(import.meta.dir, '../..')

/** The program as the image has it, by the very command of the Dockerfile, in a folder where nothing else is. */
async function compiled(): Promise<AsyncDisposable & { folder: string; program: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'))
  const program = join(folder, 'tenantry')
  const command = /^RUN bun (build .*) --outfile tenantry$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))?.[1]
  const build = Bun.spawn([process.execPath, ...(command ?? '').split(' '), '--outfile', program], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [code, said] = await Promise.all([build.exited, new Response(build.stderr).text()])
  if (code !== 0) throw new Error(`The program could not be built:\n${said}`)
  return { folder, program, [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }) }
}

const parts = ['/dashboard', '/dashboard/page.js', '/dashboard/page.css', '/openapi/swagger-ui.css']

async function textsOf(url: string): Promise<string[]> {
  const answers = await Promise.all(parts.map((path) => fetch(`${url}${path}`)))
  return await Promise.all(answers.map((answer) => (answer.ok ? answer.text() : String(answer.status))))
}

describe('The pages of the service', () => {
  test('are in the compiled program, the same as from source', async () => {
    await using database = await emptyDatabase()
    await using built = await compiled()
    await using fromSource = await startServer({ DATABASE_URL: database.url }, { cwd: built.folder })
    const expected = await textsOf(fromSource.url)

    await using alone = await startServer({ DATABASE_URL: database.url }, { cwd: built.folder, program: built.program })
    const texts = await textsOf(alone.url)

    expect(texts).toEqual(expected)
    expect(texts.map((text) => text.length > 500)).toEqual([true, true, true, true])
  })
})
