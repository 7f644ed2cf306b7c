import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config'

const root = join(import.meta.dir, '../..')
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const packageJson = JSON.parse(text('package.json'))

type Service = {
  image?: string
  environment: Record<string, string>
  read_only: boolean
  cap_drop: string[]
  security_opt: string[]
  healthcheck: { test: string[] }
}
type Compose = { services: Record<'tenantry' | 'postgres', Service> }
const compose = Bun.YAML.parse(text('compose.yaml')) as Compose
const { tenantry, postgres } = compose.services

/** The variables that src/config.ts asks for. */
const known = new Set([...text('src/config.ts').matchAll(/\('([A-Z][A-Z_]+)'/g)].map(([, name = '']) => name))
/** What .env.example offers, with its values. */
const offered = Object.fromEntries(
  [...text('.env.example').matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
)
const secrets = ['JWT_SECRET', 'ENCRYPTION_KEY', 'POSTGRES_PASSWORD', 'DATABASE_PASSWORD']

/** As compose replaces variables: throws where a needed one is not set or empty. */
const interpolated = (value: string, env: Record<string, string>) =>
  value.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name, kind, rest) => {
    if (kind === '?' && !env[name]) throw new Error(`${name} ${rest}`)
    return env[name] || (kind === '-' ? rest : '')
  })
const environmentWith = (env: Record<string, string>) =>
  Object.fromEntries(Object.entries(tenantry.environment).map(([name, value]) => [name, interpolated(value, env)]))
const filled = {
  ...offered,
  JWT_SECRET: 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU',
  ENCRYPTION_KEY: 'vMq83RWeJ5Td0kP7xI2cLs9hZfNyA4uGb6OoEw1XQrk=',
  POSTGRES_PASSWORD: '6f1c',
  DATABASE_PASSWORD: '9a2e',
}

describe('compose.yaml', () => {
  test('gives the service an environment that it takes, once the secrets are filled in', () => {
    const config = readConfig(environmentWith(filled))

    expect(config).toMatchObject({
      databaseUrl: 'postgres://tenantry_app:9a2e@postgres:5432/tenantry',
      migrationDatabaseUrl: 'postgres://tenantry:6f1c@postgres:5432/tenantry',
      rowLevelSecurity: true,
      jwt: { secret: filled.JWT_SECRET },
      encryptionKey: filled.ENCRYPTION_KEY,
    })
    expect(Object.keys(tenantry.environment).filter((name) => !known.has(name))).toEqual([])
  })

  test.each(secrets)('starts nothing while %s has no value, as in .env.example', (name) => {
    const start = () => environmentWith({ ...filled, [name]: offered[name] ?? 'not offered' })

    expect(start).toThrow(`${name} is not set, see .env.example`)
  })

  test('offers no value that is a secret, and nothing that nobody reads', () => {
    const read = new Set([...text('compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name))

    expect(secrets.map((name) => offered[name])).toEqual(['', '', '', ''])
    expect(Object.keys(offered).filter((name) => !read.has(name))).toEqual([])
  })

  test.each(Object.entries(compose.services))('gives %s no more than it needs', (_name, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      healthcheck: { test: expect.arrayContaining(['CMD']) },
    })
  })

  test('checks the health of the service as the image does', () => {
    const check = JSON.parse(/^HEALTHCHECK .* CMD (\[.*\])$/m.exec(text('Dockerfile'))?.[1] ?? 'null')

    expect(tenantry.healthcheck.test).toEqual(['CMD', ...check])
    expect(postgres.image).toBe('postgres:16')
  })
})

type Job = {
  image?: string
  variables?: Record<string, string>
  script?: string[]
  artifacts?: { paths?: string[]; reports?: Record<string, string> }
  services?: unknown
  steps?: { uses?: string; with?: Record<string, string>; run?: string; env?: Record<string, string> }[]
}
const github = Bun.YAML.parse(text('docs/ci/github.yml')) as { jobs: Record<string, Job & { needs?: string[] }> }
const gitlab = Bun.YAML.parse(text('docs/ci/gitlab.yml')) as Record<string, Job>
const templates: [string, Job[]][] = [
  ['docs/ci/github.yml', Object.values(github.jobs)],
  ['docs/ci/gitlab.yml', Object.values(gitlab)],
]
const linesOf = (jobs: Job[]) =>
  jobs.flatMap(({ script = [], steps = [] }) => [...script, ...steps.flatMap(({ run }) => run ?? [])])

describe.each(templates)('%s', (path, jobs) => {
  const lines = linesOf(jobs)

  test('runs what exists', () => {
    const targets: readonly string[] = /^TASKS := ((?:.*\\\n)*.*)$/m.exec(text('Makefile'))?.[1]?.match(/[\w-]+/g) ?? []
    const unknown = lines.filter((line) => {
      const [, tool, word = ''] = /^(make|bun run|bun|bash) (\S+)/.exec(line) ?? []
      if (tool === 'make') return word !== 'install' && !(targets.includes(word) && word in packageJson.scripts)
      if (tool === 'bun run') return !(word in packageJson.scripts)
      if (tool === 'bun') return !['install', 'test'].includes(word)
      return tool !== 'bash' || !existsSync(join(root, word))
    })

    expect(unknown).toEqual([])
  })

  test('runs unit tests, both databases with JUnit, coverage, and builds the image', () => {
    const all = lines.join('\n')

    expect(all).toMatch(/test-unit/)
    expect(all).toMatch(/--reporter-outfile=junit-sqlite\.xml/)
    expect(all).toMatch(/--reporter-outfile=junit-postgres\.xml/)
    expect(all).toMatch(/test-cov/)
    expect(all).toMatch(/image-smoke/)
    expect(all).toMatch(/make image$|scripts\/image\.sh$/m)
  })

  test('keeps what the runs write, and nothing else', () => {
    const written = [...lines.join('\n').matchAll(/--reporter-outfile=(\S+)/g)].map(([, file = '']) => file)
    const kept = jobs.flatMap(({ artifacts, steps = [] }) => [
      ...(artifacts?.paths ?? []),
      ...Object.values(artifacts?.reports ?? {}),
      ...steps
        .filter(({ uses }) => uses?.startsWith('actions/upload-artifact'))
        .flatMap((step) => step.with?.path ?? []),
    ])

    expect(kept.flatMap((file) => file.trim().split('\n')).sort()).toEqual([...written, 'coverage/lcov.info'].sort())
  })

  test('sets variables that somebody reads', () => {
    const set = jobs.flatMap(({ variables = {}, steps = [] }) => [
      ...Object.keys(variables),
      ...steps.flatMap(({ env = {} }) => Object.keys(env)),
    ])
    const script = text('scripts/image.sh')
    const kit = text('src/testing/run-database.ts')
    const engine = ['STORAGE_DRIVER', 'BUILDAH_ISOLATION']

    expect(set.filter((name) => ![script, kit].some((each) => each.includes(name)) && !engine.includes(name))).toEqual(
      [],
    )
    expect(set).toContain('TESTING_DATABASE_URL')
  })

  test('takes the Bun that this repository pins', () => {
    const named = [...text(path).matchAll(/(?:bun-version: |oven\/bun:)([\d.]+)/g)].map(([, version]) => version)

    expect(new Set(named)).toEqual(new Set([packageJson.engines.bun.replace('>=', '')]))
  })
})

test('the jobs of docs/ci/github.yml wait for jobs that there are', () => {
  const named = Object.values(github.jobs).flatMap(({ needs = [] }) => needs)

  expect(named.filter((name) => !(name in github.jobs))).toEqual([])
})

describe('the Dockerfile', () => {
  test('copies what exists, on the Bun that this repository pins', () => {
    const copied = [...text('Dockerfile').matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    )

    expect(copied).toEqual(['package.json', 'bun.lock', 'patches', 'drizzle', 'src'])
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([])
    expect(text('Dockerfile')).toContain(`oven/bun:${packageJson.engines.bun.replace('>=', '')}\n`)
    expect(text('Makefile')).toContain(`BUN_VERSION := ${packageJson.engines.bun.replace('>=', '')}\n`)
    expect(text('Dockerfile')).toContain(`ARG VERSION=${packageJson.version}\n`)
  })

  test('is the user and the program that it says, by number and without a shell', () => {
    const said = Object.fromEntries(
      [...text('Dockerfile').matchAll(/^(USER|ENTRYPOINT|CMD|VOLUME) (.+)$/gm)].map(([, name, rest]) => [name, rest]),
    )

    expect(said).toEqual({
      USER: '65532:65532',
      ENTRYPOINT: '["/usr/local/bin/tenantry"]',
      CMD: '["serve"]',
      VOLUME: '/data',
    })
  })
})
