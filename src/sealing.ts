import { conflict } from './errors'

/**
 * Seals what must not be read from the database: AES-256-GCM under ENCRYPTION_KEY. What was sealed for one owner
 * (tenant, plugin) does not open for another.
 */
export type Sealer = {
  /** Of the key that seals, to be stored beside what it sealed. Undefined where the server has no key. */
  readonly keyId: string | undefined
  /** Throws conflict where the server has no key. */
  seal(plain: string, owner: readonly string[]): string
  /** Throws where it was changed, belongs to another owner, or its key is not here. */
  open(sealed: string, owner: readonly string[]): string
}

/** TO BE REPLACED by the work on sealing. */
export const noSealer: Sealer = {
  keyId: undefined,
  seal: () => {
    throw conflict('This server has no ENCRYPTION_KEY, so it cannot keep secrets.')
  },
  open: () => {
    throw new Error('There is no key.')
  },
}
