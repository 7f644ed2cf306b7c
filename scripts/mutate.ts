import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'

/**
 * Breaks what keeps tenants and roles apart, one line at a time, in a copy of the tree, and runs the tests: a change that
 * no test notices has survived.
 *
 *     bun run mutate [--list] [--only <text of file, kind or line>] [--jobs 2]
 */
type Mutation = {
  /** One word for what is taken away. */
  kind: string
  /** Where to look. Every pattern has to find something, or it has gone out of date. */
  files: string
  pattern: RegExp
  /** What stands there instead; several where there are several ways to break it. */
  replace(...groups: string[]): string[]
}

const always = (column: string) => `eq(${column}, ${column})`

const mutations: Mutation[] = [
  {
    kind: 'tenant predicate',
    files: 'src/**/*.ts',
    pattern: /\beq\((\w+\.tenant_id), ((?:[^()]|\([^()]*\))+?)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'tenant predicate',
    files: 'src/{tenants,auth,users}/*.ts',
    pattern: /\beq\((tenants\.id), (\w+(?:\.tenant_id)?)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'user predicate',
    files: 'src/**/*.ts',
    pattern: /\beq\((\w+\.user_id), user_id\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'search scope',
    files: 'src/conversations/search.ts',
    pattern: /scope : t\$\{tenant_id\.replaceAll\('-', ''\)\} AND /g,
    replace: () => [''],
  },
  {
    kind: 'policy',
    files: 'src/**/routes.ts',
    pattern: /\bpermission: '([\w:]+)'/g,
    replace: (_, permission = '') => [
      ...(viewers.includes(permission) ? [] : ["permission: 'self:read'"]),
      'public: true',
    ],
  },
  {
    kind: 'grant',
    files: 'src/auth/policy.ts',
    pattern: /(?<=\n {2}(?:operator|admin): \[[^\]]*)'([\w:]+)'/g,
    replace: () => [], // below: the permission moves to another line
  },
  {
    kind: 'role check',
    files: 'src/auth/access.ts',
    pattern: /if \(!may\(principal\.role, permission\)\)/g,
    replace: () => ['if (false)'],
  },
  {
    kind: 'role check',
    files: 'src/auth/principal.ts',
    pattern: /\blesser\((\S+), (\S+)\)/g,
    replace: (_, one = '', other = '') => [one, other],
  },
  {
    kind: 'role check',
    files: 'src/auth/principal.ts',
    pattern: /if \((!user\?\.is_active) \|\| (!user\.tenant_is_active)\)/g,
    replace: (_, user = '', tenant = '') => [`if (${user})`, `if (!user || ${tenant})`, 'if (!user)'],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /\beq\((users\.role|users\.is_active), ('admin'|true)\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /\bne\((users\.id), id\)/g,
    replace: (_, column = '') => [always(column)],
  },
  {
    kind: 'role check',
    files: 'src/users/store.ts',
    pattern: /if \(!staysAdmin [^\n]*\) await requireAnotherAdmin/g,
    replace: () => ['if (false) await requireAnotherAdmin'],
  },
  {
    kind: 'transaction',
    files: 'src/**/*.ts',
    pattern: /\bdatabase\.transaction\((?=async)/g,
    replace: () => ['((work: () => Promise<any>) => work())('],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /\n {6}(algorithms|audience|requiredClaims|currentDate): [^\n]*,(?=\n)/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /\n {6}\.\.\.\(config\.issuer [^\n]*,(?=\n)/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /clockTolerance: leewaySeconds/g,
    replace: () => ['clockTolerance: 0', 'clockTolerance: leewaySeconds + 1', 'clockTolerance: 31_536_000'],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /(?<=requiredClaims: \[[^\]]*)'(\w+)'(?:, )?/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern:
      /algorithm === 'HS256' \? bySecret : algorithm === 'RS256' \|\| algorithm === 'ES256' \? byKeySet : undefined/g,
    replace: () => [
      "algorithm?.startsWith('HS') ? bySecret : algorithm === 'RS256' || algorithm === 'ES256' ? byKeySet : undefined",
      "algorithm === 'HS256' ? bySecret : byKeySet",
      'bySecret ?? byKeySet',
    ],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern:
      /if \((token\.length > longestToken|typeof sub [^\n]*|typeof tenant_id [^\n]*|iat !== [^\n]*|exp - [^\n]*)\) return undefined/g,
    replace: () => [''],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /now < known\.expiresAt && now >= known\.verifiedAt && now - known\.verifiedAt < rememberedForMs/g,
    replace: () => [
      'now >= known.verifiedAt && now - known.verifiedAt < rememberedForMs',
      'now < known.expiresAt && now >= known.verifiedAt',
    ],
  },
  {
    kind: 'token',
    files: 'src/auth/tokens.ts',
    pattern: /export const (longestLifeSeconds|leewaySeconds) = ([^\n]+)/g,
    replace: (_, name = '', value = '') => [
      `export const ${name} = 2 * ${value}`,
      `export const ${name} = ${value} / 2`,
    ],
  },
]

/** What every role may do anyway, so that only `public` is weaker. */
const viewers = [
  ...(/viewer: \[([^\]]*)\]/.exec(readFileSync('src/auth/policy.ts', 'utf8'))?.[1] ?? '').matchAll(/'([^']+)'/g),
].map(([, permission = '']) => permission)

/** Changes that no test can notice, each with the reason. */
const equivalent: { file: string; was: RegExp; now: string; because: string }[] = [
  {
    file: 'src/auth/tokens.ts',
    was: /^algorithms: /,
    now: '',
    because: 'the same header has chosen the verifier, and the key decides the rest',
  },
  {
    file: 'src/auth/tokens.ts',
    was: /^requiredClaims: |^'(exp|sub|tenant_id|role)'/,
    now: '',
    because: 'parseClaims refuses what lacks one of them',
  },
  {
    file: 'src/conversations/search.ts',
    was: /^scope : t/,
    now: '',
    because: 'the conversations that are found are bound to the tenant as well; the scope only keeps the search short',
  },
]

type Mutant = { kind: string; file: string; line: number; was: string; now: string; text: string }

const option = (name: string) => {
  const at = process.argv.indexOf(`--${name}`)
  return at === -1 ? undefined : (process.argv[at + 1] ?? '')
}
const only = option('only')?.toLowerCase()
const chosen = mutants().filter(
  ({ kind, file, line, was }) => only === undefined || `${kind} ${file}:${line} ${was}`.toLowerCase().includes(only),
)

if (process.argv.includes('--list')) {
  for (const each of chosen) console.log(describe(each))
  console.log(`${chosen.length} mutants`)
} else {
  process.exit((await runAll(chosen)) ? 0 : 1)
}

/** All changes there are to make. Throws where a pattern finds nothing: then it checks nothing. */
function mutants(): Mutant[] {
  const found: Mutant[] = []
  for (const { kind, files, pattern, replace } of mutations) {
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
        for (const way of ways) found.push({ kind, file, line, was, ...way })
      }
    }
    if (matches === 0)
      throw new Error(`The pattern for "${kind}" finds nothing in ${files}: ${pattern}. Bring it up to date.`)
  }
  return found
}

function grantToViewers(before: string, after: string, permission: string): { now: string; text: string } {
  const text = `${before}'nothing'${after}`.replace('viewer: [', `viewer: [${permission}, `)
  return { now: `granted to viewer`, text }
}

async function runAll(all: readonly Mutant[]): Promise<boolean> {
  const jobs = Number(option('jobs') ?? 2)
  const folders = Array.from({ length: jobs }, copyOfTree)
  const sum = { killed: 0, survived: 0, equivalent: 0 }
  const startedAt = performance.now()
  try {
    const [folder = ''] = folders
    const broken = await run(folder, [])
    if (broken !== undefined) throw new Error(`The tests fail before anything is changed:\n${broken}`)
    const waiting = [...all]
    await Promise.all(
      folders.map(async (own) => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const reason = equivalent.find(
            ({ file, was, now }) => next?.file === file && was.test(next.was) && next.now === now,
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
async function killerOf(folder: string, { file, text }: Mutant): Promise<string | undefined> {
  const path = join(folder, file)
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, text)
  try {
    // Those that are named after the changed part first: nine of ten changes need no others.
    const rounds = [related(file), []].flatMap((files) => (files ? [{ files, url: 'sqlite::memory:' }] : []))
    // Half of what knows the dialects runs on the other one only.
    if (/\bdialect === /.test(original)) rounds.push({ files: related(file) ?? [], url: 'postgres:embedded' })
    for (const { files, url } of rounds) {
      const output = await run(folder, files, url)
      if (output !== undefined)
        return /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(output)?.[1] ?? 'an error outside the tests'
    }
    return undefined
  } finally {
    writeFileSync(path, original)
  }
}

/** The output of the failing tests; undefined when all pass. Without names: all that have to do with the service. */
async function run(folder: string, files: readonly string[], url = 'sqlite::memory:'): Promise<string | undefined> {
  const chosen = files.length > 0 ? files : ['test/integration', 'test/unit']
  const tests = Bun.spawn([process.execPath, 'test', '--bail', '--timeout=20000', ...chosen], {
    cwd: folder,
    env: { ...process.env, TESTING_DATABASE_URL: url, DATABASE_URL: '' },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 300_000,
  })
  const [output, errors] = await Promise.all([new Response(tests.stdout).text(), new Response(tests.stderr).text()])
  return (await tests.exited) === 0 ? undefined : `${output}\n${errors}`
}

function related(file: string): string[] | undefined {
  const [, feature = ''] = file.split('/')
  const words: Record<string, string[]> = {
    auth: [
      'test/integration/token',
      'test/integration/jwks',
      'test/integration/auth',
      'test/integration/sweeps/auth',
      'test/unit/policy',
    ],
    chat: ['test/integration/chat', 'test/integration/idempotency', 'test/integration/sweeps/isolation'],
    conversations: [
      'test/integration/conversations',
      'test/integration/search',
      'test/integration/messages',
      'test/integration/sweeps',
    ],
    users: ['test/integration/user', 'test/integration/sweeps'],
    tenants: ['test/integration/tenant', 'test/integration/sweeps'],
  }
  return words[feature] ?? (file.endsWith('routes.ts') ? ['test/integration/sweeps'] : undefined)
}

/** A folder with all that tests need, in which a file can be changed while others work here. */
function copyOfTree(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutate-'))
  const left = ['node_modules', '.git', 'data', 'coverage', 'bench', 'examples', '.bun']
  cpSync('.', folder, { recursive: true, filter: (path) => !left.includes(relative('.', path)) })
  if (existsSync('node_modules')) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  return folder
}

function describe({ kind, file, line, was, now }: Mutant): string {
  const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, 90)
  return `${file}:${line} ${kind}: ${short(was)} -> ${now === '' ? 'nothing' : short(now)}`
}
