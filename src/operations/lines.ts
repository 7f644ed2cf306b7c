import { createReadStream } from 'node:fs'
import { malformed } from '../errors'

/** More than any row has: a reply and its metadata come to a tenth of it. */
export const longestLine = 8 * 1024 * 1024

export type Line = { readonly number: number; readonly value: unknown }

/** The values of a file of JSON lines, one at a time. Throws on what is none, and on a line that would fill the memory. */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let number = 0
  for await (const bytes of split(path, () => number + 1)) {
    number++
    yield { number, value: parse(bytes, number) }
  }
}

async function* split(path: string, current: () => number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, end)])
      parts = []
      length = 0
      from = end + 1
    }
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > longestLine) throw malformed(`line ${current()} is longer than ${longestLine} bytes`)
  }
  if (length > 0) yield Buffer.concat(parts)
}

function parse(bytes: Buffer, number: number): unknown {
  if (bytes.length > longestLine) throw malformed(`line ${number} is longer than ${longestLine} bytes`)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw malformed(`line ${number} is no JSON`)
  }
}
