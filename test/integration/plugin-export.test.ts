import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEgress } from '../../src/egress/open'
import { analyticsExport } from '../../src/plugins/analytics-export/analytics-export'
import { configErrors } from '../../src/plugins/config'
import { openFiles } from '../../src/plugins/files'
import type { DailyUsage } from '../../src/plugins/plugin'
import { atWork, outcome, receiver, tenant_id } from './plugin-peers'
import { keys, signedBucket } from './signed-bucket'

const root = mkdtempSync(join(tmpdir(), 'tenantry-exports-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const freshFolder = () => mkdtempSync(join(root, 'exports-'))
const contentOf = (folder: string, name: string) => readFileSync(join(folder, tenant_id, name), 'utf8')

const due = { at: new Date('2026-03-02T02:15:00.000Z'), id: '019cacd5-2880-7000-8000-0000000000d1' }
const folderConfig = { export_format: 'csv', schedule: '15 2 * * *', destination: 'folder' }
const bucketConfig = (url: string) => ({
  ...folderConfig,
  destination: 's3',
  s3_endpoint: url,
  s3_bucket: 'acme-usage',
  s3_access_key_id: keys.id,
  s3_secret_access_key: keys.secret,
})
const used = (day: string, model: string, replies = 1): DailyUsage => ({
  day,
  model,
  replies,
  prompt_tokens: 10 * replies,
  completion_tokens: 5 * replies,
  unique_users: 1,
})
const week = ['23', '24', '25', '26', '27', '28'].map((day) => `2026-02-${day}`).concat('2026-03-01')
const header = 'day,model,replies,prompt_tokens,completion_tokens,unique_users\r\n'

describe('The export of usage to a folder', () => {
  test('writes a file for each of the last seven days, by model', async () => {
    const folder = freshFolder()
    const usage = [used('2026-03-01', 'small', 3), used('2026-02-28', 'small'), used('2026-03-01', 'large')]
    const context = atWork(folderConfig, { files: openFiles(folder), usage })

    const result = await outcome(analyticsExport.schedule?.run(due, context))

    expect(result).toBe('done')
    expect(context.asked).toEqual([{ start_date: '2026-02-23', end_date: '2026-03-01' }])
    expect(readdirSync(folder)).toEqual([tenant_id])
    expect(readdirSync(join(folder, tenant_id)).sort()).toEqual(week.map((day) => `usage-${day}.csv`))
    expect(contentOf(folder, 'usage-2026-03-01.csv')).toBe(
      `${header}2026-03-01,large,1,10,5,1\r\n2026-03-01,small,3,30,15,1\r\n`,
    )
    expect(contentOf(folder, 'usage-2026-02-28.csv')).toBe(`${header}2026-02-28,small,1,10,5,1\r\n`)
    expect(contentOf(folder, 'usage-2026-02-27.csv')).toBe(header)
  })

  test('writes JSON, if so configured', async () => {
    const folder = freshFolder()
    const config = { ...folderConfig, export_format: 'json' }
    const usage = [used('2026-03-01', 'small')]

    await analyticsExport.schedule?.run(due, atWork(config, { files: openFiles(folder), usage }))

    expect(readdirSync(join(folder, tenant_id)).sort()).toEqual(week.map((day) => `usage-${day}.json`))
    expect(JSON.parse(contentOf(folder, 'usage-2026-03-01.json'))).toEqual(usage)
    expect(contentOf(folder, 'usage-2026-02-28.json')).toBe('[]\n')
  })

  test('writes the same again, and the new figures where there are some', async () => {
    const folder = freshFolder()
    const files = openFiles(folder)
    const usage = [used('2026-03-01', 'small'), used('2026-03-01', 'large')]
    const contents: string[] = []

    for (const now of [usage, usage.toReversed(), [used('2026-03-01', 'late', 9)]]) {
      await analyticsExport.schedule?.run(due, atWork(folderConfig, { files, usage: now }))
      contents.push(contentOf(folder, 'usage-2026-03-01.csv'))
    }

    expect(contents[1]).toBe(contents[0] ?? '')
    expect(contents[2]).toBe(`${header}2026-03-01,late,9,90,45,1\r\n`)
    expect(readdirSync(join(folder, tenant_id))).toHaveLength(7)
  })

  const formulas = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1']
  test.each(formulas)('makes no formula of a model named %j', async (model) => {
    const folder = freshFolder()
    const usage = [used('2026-03-01', model)]

    await analyticsExport.schedule?.run(due, atWork(folderConfig, { files: openFiles(folder), usage }))

    const cell = /\r\n2026-03-01,("?)(.*?)\1,1,10,5,1\r\n$/s.exec(contentOf(folder, 'usage-2026-03-01.csv'))?.[2]
    expect(cell).toBe(`'${model}`)
  })

  test('gives up where the server has no folder, and says who can change that', async () => {
    const result = await outcome(analyticsExport.schedule?.run(due, atWork(folderConfig)))

    expect(result).toEqual({
      hopeless: 'This server keeps no files for its tenants: its operator has not set EXPORT_DIR.',
    })
  })

  const schedules: [string, string, string, string][] = [
    ['15 2 * * *', '2026-03-02T02:15:00.000Z', '2026-02-23', '2026-03-01'],
    ['0 * * * *', '2026-03-02T23:00:00.000Z', '2026-02-23', '2026-03-01'],
    ['0 0 * * *', '2026-03-02T00:00:00.000Z', '2026-02-23', '2026-03-01'],
    ['@weekly', '2026-03-01T00:00:00.000Z', '2026-02-22', '2026-02-28'],
    ['0 5 1,15 * *', '2026-03-15T05:00:00.000Z', '2026-03-01', '2026-03-14'],
    ['@monthly', '2026-03-01T00:00:00.000Z', '2026-02-01', '2026-02-28'],
    ['0 0 1 1 *', '2026-01-01T00:00:00.000Z', '2025-12-01', '2025-12-31'],
  ]
  test.each(schedules)('covers, by the schedule %s at %s, the days from %s to %s', async (schedule, at, from, to) => {
    const folder = freshFolder()
    const context = atWork({ ...folderConfig, schedule }, { files: openFiles(folder) })

    await analyticsExport.schedule?.run({ ...due, at: new Date(at) }, context)

    expect(context.asked).toEqual([{ start_date: from, end_date: to }])
    const names = readdirSync(join(folder, tenant_id)).sort()
    expect([names.at(0), names.at(-1)]).toEqual([`usage-${from}.csv`, `usage-${to}.csv`])
    expect(names).toHaveLength((Date.parse(to) - Date.parse(from)) / 86_400_000 + 1)
  })
})

describe('The export of usage to a bucket', () => {
  test('puts signed files, one for each day', async () => {
    await using bucket = signedBucket()
    const context = atWork(bucketConfig(bucket.url), { usage: [used('2026-03-01', 'small')] })

    const result = await outcome(analyticsExport.schedule?.run(due, context))

    expect(result).toBe('done')
    expect(bucket.puts.map(({ status, path }) => [status, path])).toEqual(
      week.map((day) => [200, `/acme-usage/usage/${day}.csv`]),
    )
    const body = `${header}2026-03-01,small,1,10,5,1\r\n`
    expect(bucket.puts.at(-1)).toEqual({
      status: 200,
      path: '/acme-usage/usage/2026-03-01.csv',
      body,
      type: 'text/csv; charset=utf-8',
      length: String(body.length),
    })
  })

  test('signs for the region, and the type is that of JSON where the file is', async () => {
    await using bucket = signedBucket({ region: 'eu-central-1' })
    const config = { ...bucketConfig(`${bucket.url}/`), s3_region: 'eu-central-1', export_format: 'json' }

    const results = [
      await outcome(analyticsExport.schedule?.run(due, atWork(config))),
      await outcome(analyticsExport.schedule?.run(due, atWork({ ...config, s3_region: 'eu-west-1' }))),
    ]

    expect(results).toEqual(['done', { hopeless: 'The receiver answered 403, so it is not sent again.' }])
    expect(bucket.puts.map(({ status, type }) => `${status} ${type}`)).toEqual([
      ...week.map(() => '200 application/json'),
      '403 application/json',
    ])
  })

  test('is signed for one path, one time and one key', async () => {
    await using bucket = signedBucket()
    await using late = signedBucket({ now: () => new Date(Date.now() + 301_000) })
    const sent: string[] = []
    const real = openEgress({ allow: ['127.0.0.1'] })
    const egress = {
      ...real,
      fetch: (...[url, request]: Parameters<typeof real.fetch>) => {
        sent.push(String(url))
        return real.fetch(url, request)
      },
    }
    await analyticsExport.schedule?.run(due, atWork(bucketConfig(bucket.url), { egress }))
    const [signed = ''] = sent

    const altered = await fetch(signed.replace('2026-02-23.csv', '2026-02-24.csv'), { method: 'PUT', body: 'altered' })
    const read = await fetch(signed)
    const [expired, otherKey] = [
      await outcome(analyticsExport.schedule?.run(due, atWork(bucketConfig(late.url)))),
      await outcome(
        analyticsExport.schedule?.run(due, atWork({ ...bucketConfig(bucket.url), s3_secret_access_key: 'another' })),
      ),
    ]

    expect(new URL(signed).searchParams.get('X-Amz-Expires')).toBe('300')
    expect([altered.status, read.status]).toEqual([403, 403])
    const refused = { hopeless: 'The receiver answered 403, so it is not sent again.' }
    expect([expired, otherKey]).toEqual([refused, refused])
    expect(sent.join()).not.toContain('canary')
  })

  test('follows no redirect, and goes nowhere that the guard does not', async () => {
    await using target = receiver()
    await using peer = receiver(() => Response.redirect(`${target.url}/`, 307))

    const results = [
      await outcome(analyticsExport.schedule?.run(due, atWork(bucketConfig(peer.url)))),
      await outcome(
        analyticsExport.schedule?.run(due, atWork(bucketConfig(target.url), { egress: openEgress({ allow: [] }) })),
      ),
    ]

    expect(results).toEqual([
      { hopeless: 'The receiver answered 307; redirects are not followed.' },
      {
        again: `${new URL(target.url).host} leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.`,
      },
    ])
    expect(target.received).toEqual([])
  })

  test("sends no session token of the server's own surroundings", async () => {
    await using bucket = signedBucket()
    const program = `
      const { putObject } = await import('./src/plugins/analytics-export/bucket')
      const { openEgress } = await import('./src/egress/open')
      const bucket = { endpoint: '${bucket.url}', bucket: 'acme', region: 'us-east-1', accessKeyId: '${keys.id}', secretAccessKey: '${keys.secret}' }
      const world = { egress: openEgress({ allow: ['127.0.0.1'] }), clock: { now: () => new Date() }, signal: new AbortController().signal }
      const put = putObject(bucket, 'usage/2026-03-01.csv', { content: '', type: 'text/csv' }, world)
      console.log(await put.then(() => 'done', (error) => error.name + ': ' + error.message))
    `
    const run = async (env: Record<string, string>) => {
      const child = Bun.spawn([process.execPath, '-e', program], { env, stdout: 'pipe', stderr: 'inherit' })
      return (await new Response(child.stdout).text()).trim()
    }

    const results = [await run({ AWS_SESSION_TOKEN: 'canary' }), await run({ AWS_REGION: 'mars', S3_BUCKET: 'other' })]

    expect(results).toEqual([
      'HopelessJob: This server runs with an AWS_SESSION_TOKEN (or S3_SESSION_TOKEN), which would be sent to the bucket; its operator has to start it without.',
      'done',
    ])
    expect(bucket.puts.map(({ status, path }) => [status, path])).toEqual([[200, '/acme/usage/2026-03-01.csv']])
  })
})

describe('The config of the export of usage', () => {
  const good = bucketConfig('https://s3.example.com')
  const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name))

  const taken: [string, Record<string, unknown>][] = [
    ['a folder', folderConfig],
    ['a bucket', good],
    ['a bucket in a region', { ...good, s3_region: 'eu-central-1' }],
    ['an endpoint with a port and a slash', { ...good, s3_endpoint: 'http://minio.internal:9000/' }],
    ['every hour', { ...folderConfig, schedule: '5 * * * *' }],
    ['a word', { ...folderConfig, schedule: '@daily' }],
    ['some days', { ...folderConfig, schedule: '0 6,18 1-7 * MON' }],
  ]
  test.each(taken)('takes %s', (_, config) => {
    expect(configErrors(analyticsExport, config)).toEqual([])
  })

  const refused: [string, Record<string, unknown>, string][] = [
    ['a bucket without endpoint', without('s3_endpoint'), '/s3_endpoint'],
    ['a bucket without name', without('s3_bucket'), '/s3_bucket'],
    ['a bucket without key', without('s3_access_key_id'), '/s3_access_key_id'],
    ['a bucket without secret', without('s3_secret_access_key'), '/s3_secret_access_key'],
    ['a bucket with a path in its name', { ...good, s3_bucket: 'canary/../other' }, '/s3_bucket'],
    ['a bucket named by dots', { ...good, s3_bucket: '...' }, '/s3_bucket'],
    ['an endpoint with a path', { ...good, s3_endpoint: 'https://s3.example.com/canary' }, '/s3_endpoint'],
    ['an endpoint with a query', { ...good, s3_endpoint: 'https://s3.example.com/?canary' }, '/s3_endpoint'],
    ['an endpoint with a user', { ...good, s3_endpoint: 'https://canary@s3.example.com' }, '/s3_endpoint'],
    ['an endpoint of another scheme', { ...good, s3_endpoint: 's3://canary' }, '/s3_endpoint'],
    ['a region that is none', { ...good, s3_region: 'canary/eu' }, '/s3_region'],
    ['no format', { ...folderConfig, export_format: 'xml' }, '/export_format'],
    ['no schedule', { ...folderConfig, schedule: 'canary' }, '/schedule'],
    ['every minute', { ...folderConfig, schedule: '* * * * *' }, '/schedule'],
    ['twice an hour', { ...folderConfig, schedule: '0,30 * * * *' }, '/schedule'],
    ['steps within the hour', { ...folderConfig, schedule: '*/30 * * * *' }, '/schedule'],
    ['seconds', { ...folderConfig, schedule: '0 15 2 * * *' }, '/schedule'],
    ['a single date', { ...folderConfig, schedule: '2026-03-02T02:15:00' }, '/schedule'],
    ['a day that never comes', { ...folderConfig, schedule: '0 0 30 2 *' }, '/schedule'],
    ['a folder of its choice', { ...folderConfig, folder: '/etc/canary' }, '/folder'],
  ]
  test.each(refused)('refuses %s, where it stands and without its value', (_, config, path) => {
    const errors = configErrors(analyticsExport, config)

    expect(errors.map((error) => error.path)).toEqual([path])
    expect(JSON.stringify(errors)).not.toContain('canary')
  })
})
