/** Writes the next migration for both dialects. `bun run generate --name=<what-changed>`; `--custom` for one written by hand. */
for (const url of ['sqlite::memory:', 'postgres://generate']) {
  const run = Bun.spawnSync(
    [process.execPath, '--bun', 'node_modules/.bin/drizzle-kit', 'generate', ...process.argv.slice(2)],
    {
      env: { ...process.env, DATABASE_URL: url },
      stdio: ['inherit', 'inherit', 'inherit'],
    },
  )
  if (run.exitCode !== 0) process.exit(run.exitCode)
}
