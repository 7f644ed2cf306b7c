/**
 * What an app does with its database, as a list of steps: one door's driver is synchronous, the others are not, and the
 * same case has to be run by all of them.
 */
export type Step =
  | { type: 'ask'; text: string }
  | { type: 'transaction'; work: Work<unknown>; isolation: IsolationName | undefined }
  | { type: 'until'; promise: PromiseLike<unknown> }

export type Steps<T> = Generator<Step, T, unknown>
export type Work<T> = () => Steps<T>
export type Row = Record<string, unknown>
export type IsolationName = 'repeatable read' | 'serializable'

/** One statement; its rows. */
export function* ask(text: string): Steps<Row[]> {
  return (yield { type: 'ask', text }) as Row[]
}

/** A transaction of the app's, or inside one, a nested one. */
export function* transaction<T>(work: Work<T>, isolation?: IsolationName): Steps<T> {
  return (yield { type: 'transaction', work, isolation }) as T
}

/** Waits; not for drivers that do not. */
export function* until<T>(promise: PromiseLike<T>): Steps<T> {
  return (yield { type: 'until', promise }) as T
}

/** The error of steps that fail, all of it in one text, or what they resolved to. */
export function* failure(work: Work<unknown>): Steps<string> {
  try {
    return `nothing failed: ${JSON.stringify(yield* work())}`
  } catch (error) {
    return messagesOf(error)
  }
}

export function messagesOf(error: unknown): string {
  const messages: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    messages.push('code' in at ? `${at.message} [${String(at.code)}]` : at.message)
  }
  return messages.join('; ')
}

export type Handle = {
  ask(text: string): PromiseLike<Row[]> | Row[]
  transaction(work: Work<unknown>, isolation: IsolationName | undefined): unknown
}

export async function drive<T>(steps: Steps<T>, handle: Handle): Promise<T> {
  let next = steps.next()
  while (!next.done) {
    let answer: unknown
    try {
      answer = await take(next.value, handle)
    } catch (error) {
      next = steps.throw(error)
      continue
    }
    next = steps.next(answer)
  }
  return next.value
}

export function driveSync<T>(steps: Steps<T>, handle: Handle): T {
  let next = steps.next()
  while (!next.done) {
    let answer: unknown
    try {
      if (next.value.type === 'until') throw new Error('A synchronous driver cannot wait.')
      answer = take(next.value, handle)
    } catch (error) {
      next = steps.throw(error)
      continue
    }
    next = steps.next(answer)
  }
  return next.value
}

function take(step: Step, handle: Handle): unknown {
  switch (step.type) {
    case 'ask':
      return handle.ask(step.text)
    case 'transaction':
      return handle.transaction(step.work, step.isolation)
    case 'until':
      return step.promise
  }
}
