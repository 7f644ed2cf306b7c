import { AppError, type FieldError, invalid, malformed } from './errors'

/** Bytes that a body may have; uploads, when there are any, have their own limit. */
export const largestBody = 1024 * 1024
const deepest = 32

/** The JSON body of a request; undefined when there is none. Throws 400, 413, 415 or 422. */
export async function readJson(request: Request, contentType: string): Promise<unknown> {
  if (request.body === null) return undefined
  if (contentType.trim().toLowerCase() !== 'application/json') {
    // An empty body of no type is as good as none.
    if (contentType === '' && request.headers.get('content-length') === '0') return undefined
    throw new AppError('unsupported_media_type', 'Send the body as application/json.')
  }
  const text = await readText(request)
  if (text === '') return undefined
  const value = parse(text)
  const wrong = unsafe(value, text)
  if (wrong) throw invalid([wrong])
  return value
}

async function readText(request: Request): Promise<string> {
  const bytes = await readBytes(request).catch((error) => {
    throw error instanceof AppError ? error : malformed('The body could not be read.')
  })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw malformed('The body is not UTF-8.')
  }
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get('content-length')
  if (announced !== null) {
    if (Number(announced) > largestBody) throw tooLarge()
    return await request.bytes()
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as ReadableStream<Uint8Array>) {
    size += chunk.byteLength
    if (size > largestBody) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const tooLarge = () => new AppError('payload_too_large', `A body may have at most ${largestBody} bytes.`)

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('The body is not JSON.')
  }
}

/** What JSON can say and a database, or code that merges objects, cannot bear. */
function unsafe(root: unknown, text: string): FieldError | undefined {
  // Strings and keys are only looked at where the text has what the bad ones need.
  const suspicious = /\\u|__proto__/.test(text)
  const walk = (value: unknown, path: string, depth: number): FieldError | undefined => {
    const refuse = (message: string): FieldError => ({ in: 'body', path, message })
    if (typeof value === 'string' && suspicious) {
      if (value.includes('\0')) return refuse('must not contain the character U+0000')
      if (!value.isWellFormed()) return refuse('must not contain half of a surrogate pair')
    }
    if (typeof value === 'number' && !Number.isFinite(value)) return refuse('is larger than a number can be')
    if (typeof value !== 'object' || value === null) return undefined
    if (depth > deepest) return { in: 'body', path: '', message: `must not be nested deeper than ${deepest} levels` }
    for (const [key, inner] of Object.entries(value)) {
      if (suspicious && (key === '__proto__' || key.includes('\0') || !key.isWellFormed()))
        return refuse('has a key that is not allowed')
      const found = walk(inner, `${path}/${pointed(key)}`, depth + 1)
      if (found) return found
    }
    return undefined
  }
  return walk(root, '', 1)
}

/** A key as RFC 6901 writes it in a pointer; TypeBox does the same. */
const pointed = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')
