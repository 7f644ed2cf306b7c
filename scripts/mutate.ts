import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { equivalent, mutations } from './mutations'

/**
 * Breaks what keeps tenants and roles apart, one line at a time, in a copy of the tree, and runs the tests: a change that
 * no test notices has survived.
 *
 *     bun run mutate [--list | --count] [--only <text of file, kind or line>|<another>] [--quick] [--jobs 2]
 *
 * `--quick` runs only the tests that are named after what is changed: who survives that may still be killed by the others.
 */
type Mutant = { kind: string; file: string; line: number; was: string; now: string; text: string; on?: 'postgres' }

/** Of a file, or else of a folder: where a change of it is noticed, the likeliest first. */
const noticedBy: Record<string, string[]> = {
  'plugins/guard': ['integration/plugin-chat', 'integration/plugin-export'],
  'plugins/chat': ['integration/plugin-chat'],
  'plugins/tools': ['integration/plugin-tools'],
  'plugins/requirements': ['unit/plugin-requirements'],
  'plugins/enabled': ['integration/plugin-enabled'],
  'plugins/jobs': ['integration/plugin-events'],
  'plugins/publish': ['integration/plugin-events'],
  'plugins/failures': [
    'integration/plugin-flow',
    'integration/sweeps/isolation',
    'integration/database/plugin-store',
    'integration/plugin-senders-secrets',
    'integration/plugin-secrets',
  ],
  'plugins/change': ['integration/plugin-secrets', 'integration/plugin-config'],
  'plugins/config': ['integration/plugin-secrets'],
  'plugins/store': [
    'integration/plugin-config',
    'integration/audit',
    'integration/plugin-events',
    'integration/plugin-secrets',
  ],
  'plugins/webhook': ['integration/plugin-webhook', 'integration/plugin-senders-secrets'],
  'plugins/mail': ['integration/plugin-email'],
  'plugins/receiver': ['integration/plugin-webhook'],
  'plugins/files': ['unit/tenant-files'],
  'plugins/keys': ['integration/database/plugin-store', 'process/keys'],
  'plugins/patterns': ['unit/plugins/pii'],
  'plugins/moderation': ['unit/plugins/moderation'],
  'plugins/pii-redaction': ['unit/plugins/pii', 'integration/plugin-builtins'],
  'plugins/routes': ['integration/sweeps/auth'],
  'jobs/leases': ['integration/jobs/leases', 'integration/jobs/worker', 'integration/jobs/queue'],
  'jobs/attempt': [
    'integration/jobs/worker',
    'integration/jobs/leases',
    'integration/jobs/lost',
    'integration/jobs/drain',
  ],
  'jobs/queue': ['integration/jobs/queue'],
  'jobs/store': ['integration/jobs/routes', 'integration/plugin-events'],
  'jobs/failure': ['unit/jobs', 'integration/jobs/worker'],
  'jobs/routes': ['integration/sweeps/auth'],
  'jobs/set-back': ['integration/jobs/schedules'],
  'jobs/schedules': ['integration/jobs/schedules'],
  'jobs/pruning': ['integration/jobs/schedules'],
  'quotas/requests': ['integration/requests-per-minute'],
  'quotas/reconcile': ['integration/quota-crash'],
  'quotas/admission': [
    'integration/token-quota',
    'integration/quota',
    'integration/requests',
    'integration/idempotency',
  ],
  'analytics/hook': ['integration/analytics-records', 'integration/analytics-flow'],
  'analytics/csv': ['unit/csv'],
  'analytics/store': ['integration/analytics-flow'],
  'analytics/export': ['integration/analytics-export'],
  'analytics/retention': ['integration/analytics-records'],
  'operations/erase-tenant': ['integration/operations/tenant-erasure', 'process/tenant', 'process/row-level-security'],
  auth: ['integration/token', 'integration/jwks', 'integration/auth', 'integration/sweeps/auth', 'unit/policy'],
  chat: ['integration/chat', 'integration/idempotency', 'integration/sweeps/isolation', 'integration/token-quota'],
  conversations: ['integration/conversations', 'integration/search', 'integration/messages', 'integration/sweeps'],
  'users/store': ['integration/user', 'integration/audit', 'process/cli'],
  users: ['integration/user', 'integration/audit', 'integration/sweeps'],
  tenants: ['integration/tenant', 'integration/sweeps'],
  plugins: ['integration/plugin', 'integration/hostile', 'integration/database/plugin', 'unit/plugin'],
  'egress/allow': ['unit/egress', 'unit/config'],
  egress: ['unit/egress', 'integration/egress', 'integration/jwks', 'integration/plugin-sending'],
  sealing: ['unit/sealing', 'integration/plugin-secrets'],
  jobs: ['integration/jobs', 'integration/plugin-events', 'unit/jobs'],
  quotas: [
    'integration/token-quota',
    'integration/quota',
    'integration/requests-per-minute',
    'integration/database/all-or',
  ],
  analytics: ['integration/analytics', 'integration/sweeps/isolation', 'unit/csv', 'unit/usage'],
  audit: ['integration/audit', 'integration/sweeps/isolation'],
  operations: ['integration/operations', 'process/tenant', 'process/cli'],
  dashboard: ['integration/dashboard', 'integration/security-headers'],
  metrics: ['integration/metrics'],
  reporter: ['unit/reporter', 'integration/failures'],
  'request-log': ['process/leaks'],
  envelope: ['integration/envelope', 'integration/problems', 'integration/security-headers', 'integration/hostile'],
  about: ['integration/envelope', 'process/leaks'],
  body: ['integration/hostile-input', 'integration/body-limit', 'integration/problems'],
  app: [
    'integration/cors',
    'integration/body-limit',
    'integration/sweeps/undeclared',
    'unit/plugin-requirements',
    'unit/policy',
    'integration/dashboard',
    'integration/openapi',
    'integration/hostile',
    'integration/problems',
  ],
  'database/snapshot': ['process/tenant'],
  'database/reach': ['unit/reach'],
  database: [
    ...['integration/database/row-level-security', 'integration/database/transactions'],
    ...['integration/jobs/lost-tenant', 'process/row-level-security', 'integration/sweeps/isolation'],
  ],
  postgres: ['integration/database/row-level-security', 'process/row-level-security'],
}

// An option that is not known is refused: what is run by mistake takes a quarter of an hour.
const { values: given } = parseArgs({
  options: {
    list: { type: 'boolean' },
    count: { type: 'boolean' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    jobs: { type: 'string' },
  },
})
const only = given.only?.toLowerCase().split('|')
const chosen = mutants().filter((each) => !only || only.some((text) => describe(each).toLowerCase().includes(text)))

if (given.list || given.count) {
  if (given.list) for (const each of chosen) console.log(describe(each))
  console.log(`${chosen.length} mutants`)
} else {
  process.exit((await runAll(chosen)) ? 0 : 1)
}

/** All changes there are to make. Throws where a pattern finds nothing: then it checks nothing. */
function mutants(): Mutant[] {
  const found: Mutant[] = []
  const stale: string[] = []
  for (const { kind, files, pattern, replace, on } of mutations) {
    let matches = 0
    for (const file of [...new Bun.Glob(files).scanSync('.')].sort()) {
      if (file.startsWith('src/testing/')) continue
      const text = readFileSync(file, 'utf8')
      for (const match of text.matchAll(pattern)) {
        matches++
        const [before, after] = [text.slice(0, match.index), text.slice(match.index + match[0].length)]
        const line = before.split('\n').length + (match[0].startsWith('\n') ? 1 : 0)
        const was = match[0].trim()
        const ways =
          kind === 'grant'
            ? [grantToViewers(before, after, was)]
            : replace(...match).map((now) => ({ now, text: before + now + after }))
        for (const way of ways) found.push({ kind, file, line, was, ...way, ...(on && { on }) })
      }
    }
    if (matches === 0) stale.push(`"${kind}" in ${files}: ${pattern}`)
  }
  if (stale.length > 0) throw new Error(`Bring these patterns up to date, they find nothing:\n${stale.join('\n')}`)
  return found
}

function grantToViewers(before: string, after: string, permission: string): { now: string; text: string } {
  const text = `${before}'nothing'${after}`.replace('viewer: [', `viewer: [${permission}, `)
  return { now: `granted to viewer`, text }
}

async function runAll(all: readonly Mutant[]): Promise<boolean> {
  const jobs = Number(given.jobs ?? 2)
  const folders = Array.from({ length: jobs }, copyOfTree)
  const sum = { killed: 0, survived: 0, equivalent: 0 }
  const startedAt = performance.now()
  try {
    const [folder = ''] = folders
    const broken = given.quick ? undefined : await run(folder, [])
    if (broken !== undefined) throw new Error(`The tests fail before anything is changed:\n${endOf(broken)}`)
    const waiting = [...all]
    await Promise.all(
      folders.map(async (own) => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const reason = equivalent.find(
            ({ file, was, now }) => next?.file === file && was.test(next.was) && now.test(next.now),
          )
          const killer = reason ? undefined : await killerOf(own, next)
          const outcome = reason ? 'equivalent' : killer === undefined ? 'survived' : 'killed'
          sum[outcome]++
          const why = reason ? `\n           because ${reason.because}` : killer && `\n           by ${killer}`
          console.log(`${outcome.padEnd(10)} ${describe(next)}${why ?? ''}`)
        }
      }),
    )
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(
    `\n${all.length} mutants: ${sum.killed} killed, ${sum.survived} survived, ${sum.equivalent} equivalent (${seconds} s)`,
  )
  return sum.survived === 0
}

/** The first test that fails because of it; undefined when it survives. */
async function killerOf(folder: string, mutant: Mutant): Promise<string | undefined> {
  const { file, text } = mutant
  const path = join(folder, file)
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, text)
  try {
    for (const { files, url } of roundsFor(mutant, original)) {
      const output = await run(folder, files, url)
      if (output === undefined) continue
      const failed = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(output)?.[1]
      if (failed !== undefined) return failed
      // It may not even load, or never end; but then it has to be the change's fault.
      writeFileSync(path, original)
      const otherwise = await run(folder, files, url)
      if (otherwise !== undefined) throw new Error(`The tests fail although nothing is changed:\n${endOf(otherwise)}`)
      return 'an error outside the tests'
    }
    return undefined
  } finally {
    writeFileSync(path, original)
  }
}

/** Those that are named after the changed part first, the likeliest before all others: most changes need no more. */
function roundsFor({ file, on }: Mutant, original: string): { files: readonly string[]; url: string }[] {
  const [likeliest, ...others] = related(file)
  const named = [likeliest === undefined ? [] : [likeliest], others].filter((files) => files.length > 0)
  const rounds = (url: string) => named.map((files) => ({ files, url }))
  if (on) return rounds('postgres:embedded')
  // Half of what knows the dialects runs on the other one only.
  const isOfBoth = /\bdialect === /.test(original) || /postgres/.test(file)
  return [
    ...rounds('sqlite::memory:'),
    ...(given.quick ? [] : [{ files: [], url: 'sqlite::memory:' }]),
    ...(isOfBoth ? rounds('postgres:embedded') : []),
  ]
}

/** The output of the failing tests; undefined when all pass. Without names: all that have to do with the service. */
async function run(folder: string, files: readonly string[], url = 'sqlite::memory:'): Promise<string | undefined> {
  const chosen = files.length > 0 ? files : ['test/integration', 'test/unit']
  const tests = Bun.spawn([process.execPath, 'test', '--bail', '--timeout=20000', ...chosen], {
    cwd: folder,
    env: { ...process.env, TESTING_DATABASE_URL: url, DATABASE_URL: '' },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: files.length > 0 ? 120_000 : 300_000,
  })
  const [output, errors] = await Promise.all([new Response(tests.stdout).text(), new Response(tests.stderr).text()])
  return (await tests.exited) === 0 ? undefined : `${output}\n${errors}`
}

/** Where the first failure stands, which ends a run: thousands of lines of what passed come before it. */
function endOf(output: string): string {
  return output.trimEnd().split('\n').slice(-40).join('\n')
}

function related(file: string): string[] {
  const [, feature = '', part = ''] = file.replace(/\.\w+$/, '').split('/')
  const otherwise = file.endsWith('routes.ts') ? ['integration/sweeps'] : []
  const [ofPart, ofFeature] = [noticedBy[`${feature}/${part}`], noticedBy[feature] ?? otherwise]
  const names = given.quick ? (ofPart ?? ofFeature) : [...(ofPart ?? []), ...ofFeature]
  return [...new Set(names)].map((name) => `test/${name}`)
}

/** A folder with all that tests need, in which a file can be changed while others work here. */
function copyOfTree(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutate-'))
  const left = ['node_modules', '.git', 'data', 'coverage', '.bun']
  cpSync('.', folder, { recursive: true, filter: (path) => !left.includes(relative('.', path)) })
  if (existsSync('node_modules')) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  return folder
}

function describe({ kind, file, line, was, now }: Mutant): string {
  const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, 90)
  return `${file}:${line} ${kind}: ${short(was)} -> ${now === '' ? 'nothing' : short(now)}`
}
