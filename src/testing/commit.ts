import type { Database as Client } from 'bun:sqlite'
import type { Session, Statement } from '../database/session'
import { onceForEach } from './by-text'
import { foreignKeysMayWait } from './guards'

/** What COMMIT checks and forgets, beyond keeping the rows. Read from the schema once for a run's database. */
export type CommitRules = {
  dialect: 'sqlite' | 'postgres'
  /** Constraints that wait for COMMIT by themselves: names on Postgres; on SQLite only whether there are any. */
  deferred: readonly string[]
  /** Whether the app may have made constraints wait: SET CONSTRAINTS, `pragma defer_foreign_keys`. Asking costs a statement. */
  mayDefer(): boolean
}

const raw = (text: string, params: readonly unknown[] = []) => ({ text, params, shape: 'objects' as const })

export async function readCommitRules(session: Session, dialect: 'sqlite' | 'postgres'): Promise<CommitRules> {
  const text =
    dialect === 'postgres'
      ? `select quote_ident(nspname) || '.' || quote_ident(conname) as name, condeferred as deferred from pg_constraint join pg_namespace on pg_namespace.oid = connamespace where condeferrable`
      : `select name, lower(sql) like '%initially deferred%' as deferred from sqlite_master where type = 'table' and lower(sql) like '%references%'`
  const rows = (await session.run(raw(text))) as { name: string; deferred: boolean | number }[]
  const deferred = rows.flatMap((row) => (row.deferred ? [row.name] : []))
  const mayDefer = () => rows.length > 0 && (dialect === 'postgres' || foreignKeysMayWait())
  return { dialect, deferred, mayDefer }
}

/** Whether a statement on its own, which commits by itself, leaves COMMIT something to check or to forget. */
export const needsCommit = ({ text }: Statement, { dialect, deferred }: CommitRules): boolean =>
  (deferred.length > 0 && !/^\s*(select|show|explain|pragma)\b/i.test(text)) ||
  (dialect === 'postgres' && settingsIn(text).length > 0)

/**
 * Runs the app's outermost transaction in a savepoint, and where it would commit, does what COMMIT does: checks deferred
 * constraints (a broken one rejects here and undoes the transaction) and forgets settings that were set for it alone.
 */
export async function realCommit<T>(
  outer: Session,
  rules: CommitRules,
  work: (inner: Session) => Promise<T>,
  reach?: string,
): Promise<T> {
  const settings = new LocalSettings()
  const result = await outer
    .nest(async (session) => {
      const value = await work(rules.dialect === 'postgres' ? settings.watch(session) : session)
      await checkDeferred(session, rules)
      return value
    }, reach)
    .finally(async () => {
      if (rules.dialect === 'sqlite' && rules.mayDefer() && isOn((await outer.run(raw(deferring)))[0]))
        await outer.run(raw(deferNoMore))
    })
  if (rules.dialect === 'postgres') {
    if (rules.deferred.length > 0) await outer.run(raw(`set constraints ${rules.deferred.join(', ')} deferred`))
    await settings.restore(outer)
  }
  return result
}

async function checkDeferred(session: Session, rules: CommitRules): Promise<void> {
  if (rules.dialect === 'postgres') {
    if (rules.mayDefer()) await session.run(raw('set constraints all immediate'))
    return
  }
  const doWait = rules.mayDefer() && isOn((await session.run(raw(deferring)))[0])
  if (!doWait && rules.deferred.length === 0) return
  const [keys] = await session.run(raw('pragma foreign_keys'))
  if (!isOn(keys)) return
  const broken = await session.run(raw('pragma foreign_key_check'))
  if (broken.length > 0) throw brokenForeignKey()
}

/** The same for a driver that does not wait. */
export function checkDeferredSync(client: Client, rules: CommitRules): void {
  const doWait = rules.mayDefer() && isOn(client.query(deferring).get())
  if (!doWait && rules.deferred.length === 0) return
  if (!isOn(client.query('pragma foreign_keys').get())) return
  if (client.query('pragma foreign_key_check').all().length > 0) throw brokenForeignKey()
}

/** Until COMMIT, which there is none of here. Asked first, because SQLite plans all statements anew when it is said. */
export function deferNoMoreSync(client: Client, { mayDefer }: CommitRules): void {
  if (mayDefer() && isOn(client.query(deferring).get())) client.run(deferNoMore)
}

const deferring = 'pragma defer_foreign_keys'
const deferNoMore = 'pragma defer_foreign_keys = off'
/** What a pragma answers has its own name. */
const isOn = (row: unknown): boolean => typeof row === 'object' && row !== null && Number(Object.values(row)[0]) === 1

/** As SQLite itself says it at COMMIT. */
const brokenForeignKey = () =>
  Object.assign(new Error('FOREIGN KEY constraint failed'), { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })

/** SET LOCAL and set_config(..., true) last until COMMIT, but survive RELEASE SAVEPOINT: without this, one request's tenant is the next one's. */
class LocalSettings {
  readonly #before = new Map<string, string>()

  watch(session: Session): Session {
    return {
      pipelines: session.pipelines ?? false,
      run: async (statement) => {
        const asked = namesIn(statement.text, statement.params).map((name) => this.#note(name, session))
        const [rows] = await Promise.all([session.run(statement), ...asked])
        return rows
      },
      nest: (work) => session.nest((inner) => work(this.watch(inner))),
    }
  }

  /** Sent ahead of what changes it. */
  async #note(name: string, session: Session): Promise<void> {
    if (this.#before.has(name)) return
    this.#before.set(name, '')
    const rows = await session.run(raw(`select coalesce(current_setting($1, true), '') as value`, [name]))
    this.#before.set(name, (rows as { value: string }[])[0]?.value ?? '')
  }

  async restore(session: Session): Promise<void> {
    for (const [name, value] of this.#before) await session.run(raw('select set_config($1, $2, true)', [name, value]))
  }
}

/** What SQL has words of its own for. */
const settingOf: Record<string, string> = {
  time: 'timezone',
  schema: 'search_path',
  names: 'client_encoding',
  session: 'session_authorization',
  xml: 'xmloption',
}

/** What a statement sets until COMMIT: the name, or where it is among the parameters; `until` is where it says that it is until COMMIT. */
type Setting = { name: string | number; until?: number }

const settingsIn = onceForEach((text): Setting[] => {
  const bare = text.replace(/'(?:[^']|'')*'/g, "''")
  return [
    ...[...bare.matchAll(/\bset\s+local\s+(?:"([^"]+)"|([\w.]+)(?=(\s*=|\s+to\b)?))/gi)].map(
      ([, quoted, word = '', assigned]) => ({
        name: quoted ?? (assigned === undefined ? settingOf[word.toLowerCase()] : undefined) ?? word,
      }),
    ),
    ...[
      ...text.matchAll(
        /\bset_config\s*\(\s*(?:'([^']+)'|\$(\d+))(?:(?=(?:(?!set_config)[^;])*?,\s*(?:(false)|true|\$(\d+)(?:::\w+)?)\s*\))|)/gi,
      ),
    ].flatMap(([, literal, position, isForSession, until]) =>
      isForSession === undefined
        ? [{ name: literal ?? Number(position) - 1, ...(until && { until: Number(until) - 1 }) }]
        : [],
    ),
  ]
})

const namesIn = (text: string, params: readonly unknown[]): string[] =>
  settingsIn(text)
    .filter(({ until }) => until === undefined || params[until] !== false)
    .map(({ name }) => (typeof name === 'number' ? params[name] : name))
    .filter((name) => typeof name === 'string' && name !== '') as string[]
