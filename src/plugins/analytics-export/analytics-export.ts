import { Type } from '@sinclair/typebox'
import { isCron } from '../../jobs/cron'
import { oneOf, shape } from '../../schema'
import { address, plugin, secret } from '../plugin'
import { urlMistake } from '../receiver'
import { putObject } from './bucket'
import { dayFile, daysOf } from './days'

const types = { csv: 'text/csv; charset=utf-8', json: 'application/json' }

/** Writes what a tenant used, by day and model, to where other programs read it. */
export const analyticsExport = plugin({
  name: 'analytics_export',
  version: '1.0.0',
  description: 'Writes the usage of each day, by model, to a folder of the server or to an S3-compatible bucket.',
  config: shape({
    export_format: { ...oneOf('csv', 'json'), description: 'One file for each UTC day' },
    schedule: Type.String({
      minLength: 1,
      maxLength: 100,
      description: 'When to write: a cron expression in UTC, due at most once an hour, such as "15 2 * * *"',
    }),
    destination: {
      ...oneOf('folder', 's3'),
      description: 'folder: of this tenant, below EXPORT_DIR of the server. s3: the bucket that the other fields name',
    },
    s3_endpoint: Type.Optional(
      address(
        Type.String({ minLength: 1, maxLength: 2048, description: 'Such as https://s3.eu-central-1.amazonaws.com' }),
      ),
    ),
    s3_bucket: Type.Optional(
      address(Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$', description: 'Name of the bucket' })),
    ),
    s3_region: Type.Optional(
      Type.String({ pattern: '^[a-z0-9-]{1,64}$', default: 'us-east-1', description: 'us-east-1 if not given' }),
    ),
    s3_access_key_id: Type.Optional(
      Type.String({ pattern: '^[\\w.-]{1,128}$', description: 'A key that may do nothing but write to the bucket' }),
    ),
    s3_secret_access_key: Type.Optional(secret({ minLength: 1, maxLength: 256, description: 'Belongs to that key' })),
  }),
  check({ schedule, destination, ...s3 }) {
    if (!isCron(schedule) || !hourlyAtMost.test(schedule))
      return {
        path: '/schedule',
        message: 'must be a cron expression of five fields that is due at most once an hour, such as "15 2 * * *"',
      }
    const missing = needed.find((name) => s3[name] === undefined)
    if (destination === 's3' && missing)
      return { path: `/${missing}`, message: 'is needed where the destination is s3' }
    return s3.s3_endpoint === undefined ? undefined : endpointMistake(s3.s3_endpoint)
  },
  schedule: {
    cron: ({ schedule }) => schedule,
    async run({ at }, context) {
      const { export_format, schedule, destination } = context.config
      const days = daysOf(schedule, at)
      const usage = await context.usage.daily({ start_date: days[0] ?? '', end_date: days.at(-1) ?? '' })
      const bucket = destination === 's3' ? bucketOf(context.config) : undefined
      for (const day of days) {
        context.signal.throwIfAborted()
        const content = dayFile(export_format, day, usage)
        if (bucket) {
          await putObject(bucket, `usage/${day}.${export_format}`, { content, type: types[export_format] }, context)
        } else await context.files.write(`usage-${day}.${export_format}`, content)
      }
    },
  },
})

/** The minute is one number, or the whole is a word that means so. */
const hourlyAtMost = /^\s*(\d{1,2}\s|@(hourly|daily|midnight|weekly|monthly|yearly|annually)\s*$)/i

const needed = ['s3_endpoint', 's3_bucket', 's3_access_key_id', 's3_secret_access_key'] as const

type S3 = { [Name in (typeof needed)[number] | 's3_region']?: string }

/** What a config without a mistake has. */
const bucketOf = ({ s3_endpoint = '', s3_bucket = '', s3_region = 'us-east-1', ...key }: S3) => ({
  endpoint: s3_endpoint.replace(/\/$/, ''),
  bucket: s3_bucket,
  region: s3_region,
  accessKeyId: key.s3_access_key_id ?? '',
  secretAccessKey: key.s3_secret_access_key ?? '',
})

function endpointMistake(endpoint: string) {
  const mistake = urlMistake('/s3_endpoint', endpoint)
  if (mistake) return mistake
  const { pathname, search, hash } = new URL(endpoint)
  return pathname + search + hash === '/'
    ? undefined
    : { path: '/s3_endpoint', message: 'must end after the host and the port; the bucket has a field of its own' }
}
