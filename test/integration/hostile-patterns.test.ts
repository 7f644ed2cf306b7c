import { describe, expect, test } from 'bun:test'
import { Glob } from 'bun'
import { NewUser } from '../../src/users/schema'

// A pattern that backtracks takes seconds or years for these, so that this file ends within its time is the check.
const kilobytes100 = 100_000
const pieces = [
  'a',
  '0',
  '-',
  '.',
  ':',
  '/',
  '@',
  'a@',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\n    at ',
  '\n at src/',
  'at ',
  ',',
  '=',
]
const shapes = [...pieces, '"', '\\', '\\u', '%', '[', '(', 'é', '\u0301', '你', '\0', '\ud800', 'http://', 'Bearer ']
const hostile = shapes.flatMap((shape) =>
  ['', 'Bearer ', 'http://', '\n'].flatMap((head) =>
    ['', '!', '\0'].map((tail) => head + shape.repeat(kilobytes100 / shape.length) + tail),
  ),
)

const folder = `${import.meta.dir}/../../src`
/** Where an expression may begin, a slash begins a pattern. */
const literal =
  /(?<=(?:[(=,:?!&|[{]|return|=>)\s*)\/(?![*/])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([dgimsuvy]*)/g

const files = [...new Glob('**/*.ts').scanSync(folder)].filter((file) => !file.startsWith('testing/')).sort()
const patterns: [string, RegExp][] = []
for (const file of files) {
  const code = (await Bun.file(`${folder}/${file}`).text()).replaceAll(/^\s*(?:\*|\/\/|\/\*|#!).*$/gm, '')
  for (const [, source = '', flags] of code.matchAll(literal)) patterns.push([file, new RegExp(source, flags)])
}
patterns.push(['users/schema.ts', new RegExp(NewUser.properties.email.pattern ?? '')])

describe('the patterns of the service', () => {
  test('are found, wherever a stranger can reach one', () => {
    const found = new Set(patterns.map(([file]) => file))

    expect([...found]).toEqual(
      expect.arrayContaining([
        'auth/access.ts',
        'body.ts',
        'chat/idempotency.ts',
        'conversations/search.ts',
        'envelope.ts',
        'ids.ts',
        'page.ts',
        'reporter.ts',
        'users/schema.ts',
      ]),
    )
    expect(patterns.filter(([file]) => file === 'ids.ts').map(([, pattern]) => pattern.source)).toEqual([
      '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    ])
  })

  test.each(patterns)('go through 100 KB of anything: %s %p', (_file, pattern) => {
    const searched = hostile.filter((text) => text.search(pattern) >= -1 && text.replace(pattern, '').length >= 0)

    expect(searched).toHaveLength(hostile.length)
  })
})
