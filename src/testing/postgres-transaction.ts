import type { Session } from '../database/session'

/**
 * Runs `work` as a transaction of the app's in a savepoint that stands already, and is whoever calls this to undo. Its first
 * statement says whom it is about. As with postgres.js, one in which a statement failed rejects, even if that was caught.
 */
export async function asTransaction<T>(
  session: Session,
  work: (inner: Session) => Promise<T>,
  reach: string | undefined,
): Promise<T> {
  let isSaid = reach === undefined
  let failure: { readonly error: unknown } | undefined
  const inner: Session = {
    pipelines: session.pipelines ?? false,
    run(statement) {
      let asked = statement
      if (!isSaid && reach !== undefined) {
        // Only what has parameters is sure to be one statement, along with which another can be sent.
        if (statement.params.length > 0) asked = { ...statement, reach }
        else session.run({ text: 'select', params: [], shape: 'arrays', reach }).catch(() => {}) // what follows says so
      }
      isSaid = true
      return session.run(asked).catch((error) => {
        failure ??= { error }
        throw error
      })
    },
    // What is said in there is undone with it.
    nest: (work) => (isSaid ? session.nest(work) : session.nest(work, reach)),
  }
  try {
    const result = await work(inner)
    if (failure) throw failure.error
    return result
  } catch (error) {
    throw failure && isOfAborted(error) ? failure.error : error
  }
}

/** What the statements say that come after a failed one. */
const isOfAborted = (error: unknown) => error instanceof Error && 'code' in error && error.code === '25P02'
