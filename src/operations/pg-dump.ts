import { conflict } from '../errors'

/** Writes the database at `databaseUrl` to a file, in the form that pg_restore reads. */
export async function dumpPostgres(databaseUrl: string, file: string): Promise<void> {
  const program = Bun.which('pg_dump', { PATH: process.env.PATH ?? '' })
  if (program === null)
    throw conflict(
      'pg_dump is not on the PATH; install the client of PostgreSQL (of the version of the server, or newer), or run where it is: PGOPTIONS="-c tenantry.tenant_id=all" pg_dump --enable-row-security --format=custom --file=<file> <database>',
    )
  const env = postgresEnvironment(databaseUrl)
  const child = Bun.spawn(
    [program, '--format=custom', '--enable-row-security', '--no-password', ...roleOf(databaseUrl), `--file=${file}`],
    {
      env: { ...inherited(), ...env, PGOPTIONS: `${process.env.PGOPTIONS ?? ''} ${ofAllTenants}`.trim() },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  const [code, said] = await Promise.all([child.exited, new Response(child.stderr).text()])
  if (code !== 0) throw new Error(`pg_dump failed: ${inOneLine(said, env.PGPASSWORD) || `it ended with ${code}`}`)
}

/** What row level security asks for, see src/database/reach.ts: else pg_dump refuses to read what it might not see whole. */
const ofAllTenants = '-c tenantry.tenant_id=all'

/** The role that the address has a connection take, which libpq's environment has no word for. */
const roleOf = (databaseUrl: string) => {
  const role = new URL(databaseUrl).searchParams.get('role')
  return role === null ? [] : [`--role=${role}`]
}

/** How libpq is told where to connect without arguments, which everybody on the machine can read. */
function postgresEnvironment(databaseUrl: string): Record<string, string> {
  const url = new URL(databaseUrl)
  const { searchParams } = url
  const ssl = searchParams.get('sslmode') ?? searchParams.get('ssl')
  const given = {
    PGHOST: searchParams.get('socket') ?? url.hostname.replace(/^\[|\]$/g, ''),
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: decodeURIComponent(url.pathname.slice(1)),
    PGSSLMODE: ssl === 'true' ? 'require' : (ssl ?? ''),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''))
}

/** What pg_dump may need of our environment; keys and tokens it does not. */
const inherited = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(PATH|HOME|TZ|LANG|LC_[A-Z]+|PG[A-Z]+)$/.test(name)),
  )

const inOneLine = (said: string, password: string | undefined) => {
  const line = said
    .trim()
    .split('\n')
    .map((each) => each.replace(/^pg_dump: (error: |detail: )?/, '').trim())
    .join('; ')
  return password === undefined ? line : line.replaceAll(password, '********')
}
