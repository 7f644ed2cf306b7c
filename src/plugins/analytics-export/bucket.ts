import { HopelessJob } from '../../jobs/job'
import type { PluginContext } from '../plugin'
import { requireTaken } from '../receiver'

/** A bucket of any S3-compatible server, and who may write to it. */
export type Bucket = {
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** How long a signed request may be on its way. */
const expiresIn = 300

/**
 * Puts a file into a bucket. Bun's client only signs; the guard sends, so that no tenant writes to a server inside.
 * Throws as `requireTaken` does.
 */
export async function putObject(
  bucket: Bucket,
  key: string,
  { content, type }: { content: string; type: string },
  { egress, clock, signal }: Pick<PluginContext<unknown>, 'egress' | 'clock' | 'signal'>,
): Promise<void> {
  const url = new URL(new Bun.S3Client(bucket).presign(key, { method: 'PUT', expiresIn }))
  // Bun adds the token of the environment to whatever it signs, and nothing turns that off: it is no tenant's.
  if (url.searchParams.has('X-Amz-Security-Token'))
    throw new HopelessJob(
      'This server runs with an AWS_SESSION_TOKEN (or S3_SESSION_TOKEN), which would be sent to the bucket; its operator has to start it without.',
    )
  const answer = await egress.fetch(url, {
    method: 'PUT',
    headers: { 'content-type': type },
    body: content,
    signal,
    limits: { timeoutMs: 30_000 },
  })
  await requireTaken(answer, clock)
}
