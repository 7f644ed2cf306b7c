import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

test('the kit is connected in under 30 lines', () => {
  const lines = ['kit.ts', 'setup.ts'].flatMap((file) => readFileSync(join(import.meta.dir, file), 'utf8').split('\n'))

  const code = lines.filter((line) => line.trim() !== '' && !line.startsWith('import') && !line.startsWith('//'))

  expect(code.length).toBeLessThan(30)
})
