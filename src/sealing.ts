import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { conflict } from './errors'

/**
 * Seals what must not be read from the database: AES-256-GCM under ENCRYPTION_KEY. What was sealed for one owner
 * (tenant, plugin) does not open for another.
 */
export type Sealer = {
  /** Of the key that seals, to be stored beside what it sealed. Undefined where the server has no key. */
  readonly keyId: string | undefined
  /** Of all keys that open. */
  readonly keyIds: readonly string[]
  /** Throws conflict where the server has no key. */
  seal(plain: string, owner: readonly string[]): string
  /** Throws SealError where it was changed, belongs to another owner, or its key is not here. */
  open(sealed: string, owner: readonly string[]): string
}

/** Each 32 bytes in base64. */
export type SealingKeys = { readonly current: string | undefined; readonly previous: string | undefined }

/** Why something sealed stays closed. The message holds nothing of what is in it. */
export class SealError extends Error {
  override readonly name = 'SealError'
}

/** Seals with the current key, and opens what the current or the previous one sealed. */
export function buildSealer({ current, previous }: SealingKeys): Sealer {
  const keys = new Map([current, previous].filter((key) => key !== undefined).map(keyOf))
  const keyId = current === undefined ? undefined : keyOf(current)[0]

  return {
    keyId,
    keyIds: [...keys.keys()],

    seal(plain, owner) {
      const key = keyId === undefined ? undefined : keys.get(keyId)
      if (keyId === undefined || key === undefined)
        throw conflict('This server has no ENCRYPTION_KEY, so it cannot keep secrets; ask its operator to set one.')
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      cipher.setAAD(associated(keyId, owner))
      const bytes = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${version}.${keyId}.${bytes.toString('base64url')}`
    },

    open(sealed, owner) {
      const [, sealedWith = '', text = ''] = form.exec(sealed) ?? []
      const bytes = Buffer.from(text, 'base64url')
      // Several spellings in base64 are the same bytes, and only one of them is what `seal` wrote.
      if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== text)
        throw new SealError('This is nothing that was sealed here, or not all of it.')
      const key = keys.get(sealedWith)
      if (!key)
        throw new SealError(
          `This was sealed with the key ${sealedWith}, which is not here; set ENCRYPTION_KEY_PREVIOUS to that key.`,
        )
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      decipher.setAAD(associated(sealedWith, owner))
      decipher.setAuthTag(bytes.subarray(-tagBytes))
      const opened = decipher.update(bytes.subarray(nonceBytes, -tagBytes))
      try {
        return Buffer.concat([opened, decipher.final()]).toString('utf8')
      } catch {
        throw new SealError('This was changed since it was sealed, or sealed for another owner.')
      }
    },
  }
}

/** Of what is written: what follows may be of another form one day. */
const version = '1'
const form = /^1\.([0-9a-f]{16})\.([\w-]+)$/
const nonceBytes = 12
const tagBytes = 16

/** JSON, because it keeps the parts apart: ["ab", "c"] and ["a", "bc"] are different owners. */
const associated = (keyId: string, owner: readonly string[]) => Buffer.from(JSON.stringify([version, keyId, ...owner]))

/** The id is derived from the key in one direction only, and is good for nothing but to tell keys apart. */
function keyOf(base64: string): [string, Buffer] {
  const key = Buffer.from(base64, 'base64')
  return [Buffer.from(hkdfSync('sha256', key, '', 'tenantry key id', 8)).toString('hex'), key]
}
