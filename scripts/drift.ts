import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Fails when src/database/tables.ts says something that no migration does: `bun run generate` was forgotten. */
const forgotten: string[] = []
for (const [dialect, url] of [
  ['sqlite', 'sqlite::memory:'],
  ['postgresql', 'postgres://drift'],
] as const) {
  const kept = `drizzle/${dialect === 'sqlite' ? 'sqlite' : 'postgres'}`
  // Beside the original, because drizzle-kit takes relative paths only.
  const copy = mkdtempSync('drizzle/.drift-')
  try {
    cpSync(kept, copy, { recursive: true })
    const before = readdirSync(copy).length
    const args = ['generate', `--dialect=${dialect}`, '--schema=./src/database/tables.ts', `--out=./${copy}`]
    const run = Bun.spawnSync([process.execPath, '--bun', join('node_modules', '.bin', 'drizzle-kit'), ...args], {
      env: { ...process.env, DATABASE_URL: url },
    })
    if (run.exitCode !== 0) throw new Error(`drizzle-kit failed for ${dialect}: ${run.stderr}${run.stdout}`)
    if (readdirSync(copy).length !== before) forgotten.push(dialect)
  } finally {
    rmSync(copy, { recursive: true })
  }
}
if (forgotten.length > 0) {
  console.error(
    `The tables have changed and no migration says so (${forgotten.join(', ')}): run bun run generate --name=<what-changed>.`,
  )
  process.exit(1)
}
