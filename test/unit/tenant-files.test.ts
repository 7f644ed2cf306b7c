import { afterAll, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HopelessJob } from '../../src/jobs/job'
import { openFiles, requireFolder } from '../../src/plugins/files'

const [tenantA, tenantB] = ['019cacd5-0000-7000-8000-00000000000a', '019cacd5-0000-7000-8000-00000000000b']
const root = mkdtempSync(join(tmpdir(), 'tenantry-files-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const freshFolder = () => mkdtempSync(join(root, 'exports-'))

describe("The operator's folder", () => {
  test('is made where there is none, for nobody else to read', async () => {
    const folder = join(freshFolder(), 'not', 'yet')

    await requireFolder(folder)

    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  test('stays as it is where there is one', async () => {
    const folder = freshFolder()
    chmodSync(folder, 0o750)

    await requireFolder(folder)

    expect(statSync(folder).mode & 0o777).toBe(0o750)
  })

  test('cannot be a file', async () => {
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')

    await expect(requireFolder(file)).rejects.toThrow('EXPORT_DIR is not a folder that can be written to (EEXIST)')
  })
})

describe("A tenant's folder", () => {
  test('is made for its first file, for nobody else to read', async () => {
    const folder = join(freshFolder(), 'not', 'there', 'yet')

    const path = await openFiles(folder)(tenantA).write('usage-2026-03-01.csv', 'day\r\n')

    expect(path).toBe(`${tenantA}/usage-2026-03-01.csv`)
    expect(readFileSync(join(folder, path), 'utf8')).toBe('day\r\n')
    expect(statSync(join(folder, path)).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, tenantA)).mode & 0o777).toBe(0o700)
  })

  test("keeps two tenants' files of one name apart", async () => {
    const folder = freshFolder()
    const files = openFiles(folder)

    await Promise.all([files(tenantA).write('usage.csv', 'of A'), files(tenantB).write('usage.csv', 'of B')])

    const read = (tenant_id: string) => readFileSync(join(folder, tenant_id, 'usage.csv'), 'utf8')
    expect([read(tenantA), read(tenantB)]).toEqual(['of A', 'of B'])
  })

  test('holds the last content of a file, and nothing that was half written', async () => {
    const folder = freshFolder()
    const files = openFiles(folder)(tenantA)
    const contents = Array.from({ length: 20 }, (_, n) => String(n).repeat(100_000))

    await Promise.all(contents.map((content) => files.write('usage.json', content)))
    await files.write('usage.json', 'the last')

    expect(readdirSync(join(folder, tenantA))).toEqual(['usage.json'])
    expect(readFileSync(join(folder, tenantA, 'usage.json'), 'utf8')).toBe('the last')
  })

  test('is left through no link that stands in the place of a file', async () => {
    const folder = freshFolder()
    const outside = join(freshFolder(), 'outside.txt')
    writeFileSync(outside, 'untouched')
    await openFiles(folder)(tenantA).write('other.csv', '')
    symlinkSync(outside, join(folder, tenantA, 'usage.csv'))

    await openFiles(folder)(tenantA).write('usage.csv', 'of A')

    expect(readFileSync(outside, 'utf8')).toBe('untouched')
    expect(readFileSync(join(folder, tenantA, 'usage.csv'), 'utf8')).toBe('of A')
  })

  const names = [
    '../usage.csv',
    'a/b.csv',
    'a\\b.csv',
    '.hidden',
    '..',
    '',
    'a\0.csv',
    'a\n.csv',
    'A.csv',
    'a'.repeat(101),
  ]
  test.each(names)('takes no file named %j', async (name) => {
    const folder = freshFolder()

    const work = openFiles(folder)(tenantA).write(name, 'escaped')

    await expect(work).rejects.toThrow('This is no name for a file of a tenant.')
    expect(readdirSync(folder)).toEqual([])
  })

  test.each(['..', '', 'acme', `${tenantA}/..`])('is not opened for a tenant whose id would be %j', async (id) => {
    const folder = freshFolder()

    const work = openFiles(folder)(id).write('usage.csv', 'escaped')

    await expect(work).rejects.toThrow('This is no name for a file of a tenant.')
    expect(readdirSync(folder)).toEqual([])
  })

  test('leaves nothing behind where the file cannot be put in its place', async () => {
    const folder = freshFolder()
    await openFiles(folder)(tenantA).write('other.csv', '')
    await Bun.write(join(folder, tenantA, 'usage.csv', 'a-folder-in-its-place'), '')

    const failed = await openFiles(folder)(tenantA)
      .write('usage.csv', 'of A')
      .catch((error: unknown) => error)

    expect(failed).toBeInstanceOf(Error)
    expect(readdirSync(join(folder, tenantA)).sort()).toEqual(['other.csv', 'usage.csv'])
  })

  test('is nowhere without EXPORT_DIR, which trying again does not change', async () => {
    const failed = await openFiles(undefined)(tenantA)
      .write('usage.csv', 'of A')
      .catch((error: unknown) => error)

    expect(failed).toEqual(
      new HopelessJob('This server keeps no files for its tenants: its operator has not set EXPORT_DIR.'),
    )
  })
})
