/**
 * No answer at all, not even a refusal: the server gives up sooner by itself (statement_timeout), so whoever is at the
 * other end of the connection, it is no server any more. TCP alone would wait for a quarter of an hour.
 */
export class Silence extends Error {
  override readonly name = 'Silence'
  readonly code = 'CONNECTION_SILENT'
  constructor(ms: number) {
    super(`The database said nothing for ${ms} ms`)
  }
}

/** How long an answer may take, and what to do when none came. */
export type Patience = { readonly ms: number; onSilence(): void }

/** The same promise, or Silence. */
export async function answered<T>(answer: PromiseLike<T>, patience: Patience | undefined): Promise<T> {
  if (!patience) return await answer
  const waiting = wait(patience)
  try {
    return await Promise.race([answer, waiting.silence])
  } finally {
    waiting.stop()
  }
}

/** Waits for answers with pauses in between; `silence` rejects when one took too long. */
export function wait({ ms, onSilence }: Patience) {
  const silence = Promise.withResolvers<never>()
  const giveUp = () => {
    onSilence()
    silence.reject(new Silence(ms))
  }
  let timer: ReturnType<typeof setTimeout> | undefined = setTimeout(giveUp, ms)
  return {
    silence: silence.promise,
    giveUp,
    stop: () => clearTimeout(timer),
    goOn() {
      timer = setTimeout(giveUp, ms)
    },
  }
}
