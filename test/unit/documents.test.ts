import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dir, '../..')
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const here = (path: string) => existsSync(join(root, path))

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...['ARCHITECTURE', 'OPERATIONS', 'SECURITY', 'TESTING_GUIDE'].map((name) => `docs/${name}.md`),
]
const found = (of: string, pattern: RegExp) => [...of.matchAll(pattern)].map(([, group = '']) => group)

const scripts = JSON.parse(text('package.json')).scripts
const [tasks = ''] = found(text('Makefile'), /^TASKS := ((?:.*\\\n)*.*)$/gm)
const targets = ['install', 'help', ...found(tasks, /([\w-]+)/g)]
const commands = ['serve', 'people', 'token', 'operate'].flatMap((file) =>
  found(text(`src/commands/${file}.ts`), /^ {2}'?([a-z]+(?: [a-z]+)?)'?: \{$/gm),
)
const metrics = ['instruments', 'process'].flatMap((file) =>
  found(text(`src/metrics/${file}.ts`), /'(tenantry_[a-z_]+)'/g),
)
/** Where a variable of the environment may be read. */
const readers = [
  ...[
    'src/config.ts',
    'compose.yaml',
    'scripts/image.sh',
    'src/testing/run-database.ts',
    'src/testing/contract-fuzz.ts',
  ],
].map(text)
/** Those of others. */
const foreign = ['TMPDIR', 'HTTP_PROXY', 'PATH']

describe.each(documents)('%s', (path) => {
  const document = text(path)
  const code = found(document, /(`[^`\n]+`|^```\w*\n[\s\S]*?^```)/gm).join('\n')

  test('names files that exist', () => {
    const named = found(code, /(?<![\w./-])((?:src|test|docs|scripts|drizzle|bench|examples)\/[\w./-]*\w)/g)

    // What only an example is about begins with a word of its own.
    expect([...new Set(named)].filter((file) => !here(file) && !/house-style/.test(file))).toEqual([])
  })

  test('links to what exists, headings included', () => {
    const links = found(document, /\]\((?!https?:)([^)\s]+)\)/g)
    const broken = links.filter((link) => {
      const [file = '', heading] = link.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      if (!here(target)) return true
      if (heading === undefined) return false
      const anchors = found(text(target), /^#+ (.+)$/gm).map((title) =>
        title
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      )
      return !anchors.includes(heading)
    })

    expect(broken).toEqual([])
  })

  test('names commands that exist', () => {
    const wrong = [
      ...found(code, /\bmake ([a-z][\w-]*)/g).filter((target) => !targets.includes(target)),
      ...found(code, /\bbun run ([a-z][\w-]*)/g).filter((script) => !(script in scripts)),
      ...found(code, /(?:^|`|bun run |\/)tenantry ([a-z]+(?: [a-z]+)?)/gm).filter(
        (words) => !commands.includes(words) && !commands.includes(words.split(' ')[0] ?? ''),
      ),
    ]

    expect(wrong).toEqual([])
  })

  test('names metrics that there are', () => {
    const named = found(code, /\b(tenantry_[a-z_]+)(?=[{[)]| [<>])/g).map((name) =>
      name.replace(/_(count|sum|bucket)$/, ''),
    )

    expect([...new Set(named)].filter((name) => !metrics.includes(name))).toEqual([])
  })

  test('names variables that somebody reads', () => {
    const named = found(code, /(?<![\w-])([A-Z]{2,}(?:_[A-Z]+)+|TAG|BUN|RUNTIME|HOST|PORT)(?![\w-])/g)

    expect(
      [...new Set(named)].filter((name) => !foreign.includes(name) && !readers.some((reader) => reader.includes(name))),
    ).toEqual([])
  })
})

test('the README leads to every other document', () => {
  const linked = new Set(found(text('README.md'), /\]\(([^)#\s]+)[^)]*\)/g))

  expect(documents.slice(1).filter((path) => !linked.has(path))).toEqual([])
})

test('the README describes every variable that the configuration has', () => {
  const variables = new Set(found(text('src/config.ts'), /(?:\(|name: )'([A-Z][A-Z_]+)'/g))

  expect([...variables].filter((name) => !text('README.md').includes(`\`${name}\``))).toEqual([])
})
