import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What most runs import of packages that are many small files or one that takes long to compile; see test/unit/packages.test.ts. */
export const bundled = [
  '@elysiajs/cors',
  '@elysiajs/jwt',
  '@elysiajs/openapi/openapi',
  '@sinclair/typebox',
  '@sinclair/typebox/compiler',
  '@sinclair/typebox/value',
  'croner',
  'drizzle-orm',
  'drizzle-orm/bun-sqlite',
  'drizzle-orm/bun-sqlite/migrator',
  'drizzle-orm/pg-core',
  'drizzle-orm/postgres-js',
  'drizzle-orm/postgres-js/migrator',
  'drizzle-orm/sqlite-core',
  'drizzle-orm/sqlite-proxy',
  'elysia',
  'ipaddr.js',
  'jose',
  'postgres',
  're2js',
]

/**
 * Answers these imports from one file that holds the same code: to read the small ones would be a quarter of what a run
 * takes before its first test. Made once for each lockfile and its patches, in node_modules. The first preload, so that
 * nothing has been imported yet, and all of a package comes from here. One file and not several, because Bun's bundler
 * renames classes that several share, and what is an error's name must stay it.
 */
const root = join(import.meta.dir, '..')
const weekMs = 7 * 24 * 60 * 60 * 1000
const cache = join(root, 'node_modules/.cache/bundled-for-tests')
const patches = readdirSync(join(root, 'patches')).map((name) => readFileSync(join(root, 'patches', name)))
const key = Bun.hash(`${Bun.version} bytecode ${readFileSync(join(root, 'bun.lock'))} ${patches} ${bundled}`).toString(
  36,
)
const file = join(cache, `${key}.js`)
if (!existsSync(file)) await bundle()
const packages = await import(file)
Bun.plugin({
  name: 'bundled',
  setup(build) {
    for (const [at, name] of bundled.entries())
      build.module(name, () => ({ exports: packages[`package${at}`], loader: 'object' }))
  },
})

async function bundle(): Promise<void> {
  const entry = join(cache, `${key}.${process.pid}.entry.js`)
  const lines = bundled.map((name, at) => `export * as package${at} from '${Bun.resolveSync(name, root)}'`)
  mkdirSync(cache, { recursive: true })
  for (const other of readdirSync(cache).map((name) => join(cache, name)))
    if ((statSync(other, { throwIfNoEntry: false })?.mtimeMs ?? 0) < Date.now() - weekMs) rmSync(other, { force: true })
  writeFileSync(entry, lines.join('\n'))
  // With the code that JavaScriptCore makes of it, which it would make anew in each run.
  const compiled = { bytecode: true, format: 'cjs' } as const
  const { outputs } = await Bun.build({ entrypoints: [entry], target: 'bun', throw: true, ...compiled })
  rmSync(entry)
  for (const [output, path] of [
    [outputs.find(({ kind }) => kind === 'bytecode'), `${file}.jsc`],
    [outputs.find(({ kind }) => kind === 'entry-point'), file],
  ] as const) {
    const unfinished = `${path}.${process.pid}`
    await Bun.write(unfinished, output as Blob)
    renameSync(unfinished, path)
  }
}
