import { and, desc, eq, exists, or } from 'drizzle-orm'
import { Elysia, t } from 'elysia'
import { type Data, isRefused } from './data'

export type Options = {
  data: Data
  now: () => Date
  /** Where it is told that a note was shared. */
  webhook: string
}

// PostgreSQL keeps no NUL in a text.
const Text = (options = {}) => t.String({ pattern: '^[^\\u0000]*$', ...options })

const NewNote = t.Object({
  title: Text({ minLength: 1 }),
  body: Text(),
  folder: Text({ default: 'inbox' }),
  tags: t.Array(Text(), { default: [], uniqueItems: true }),
})

/** What is kept of an API key. */
export const hashOf = (key: string): string => new Bun.CryptoHasher('sha256').update(key).digest('hex')

export function buildApp({ data, now, webhook }: Options) {
  const { db, tables } = data
  const { users, notes, tags, shares, moves } = tables

  const userOf = async (key: string) => {
    const [user] = await db
      .select({ id: users.id, name: users.name, role: users.role })
      .from(users)
      .where(eq(users.key_hash, hashOf(key)))
    return user
  }
  const sharedWith = (userId: string) =>
    exists(
      db
        .select({ note_id: shares.note_id })
        .from(shares)
        .where(and(eq(shares.note_id, notes.id), eq(shares.user_id, userId))),
    )
  const mayRead = (userId: string) => or(eq(notes.owner_id, userId), sharedWith(userId))
  const find = async (id: string, condition: ReturnType<typeof mayRead>) => {
    const [note] = await db
      .select()
      .from(notes)
      .where(and(eq(notes.id, id), condition))
    return note
  }

  return new Elysia()
    .get('/up', () => 'up')
    .resolve(async ({ headers, status }) => {
      const user = await userOf(headers['x-api-key'] ?? '')
      return user ? { user } : status(401, { error: 'an x-api-key is needed' })
    })
    .post(
      '/notes',
      async ({ user, body: { tags: given, ...fields }, status }) => {
        if (user.role !== 'writer') return status(403, { error: 'readers cannot write' })
        const note = { id: crypto.randomUUID(), owner_id: user.id, created_at: now(), ...fields }
        try {
          await db.insert(notes).values(note)
        } catch (error) {
          if (isRefused(error)) return status(409, { error: `you have a note called ${note.title}` })
          throw error
        }
        if (given.length > 0) await db.insert(tags).values(given.map((tag) => ({ note_id: note.id, tag })))
        return status(201, note)
      },
      { body: NewNote },
    )
    .get('/notes', async ({ user, query: { tag } }) => {
      const readable = mayRead(user.id)
      const order = [desc(notes.created_at), notes.title] as const
      const columns = { id: notes.id, title: notes.title, folder: notes.folder }
      if (tag === undefined)
        return await db
          .select(columns)
          .from(notes)
          .where(readable)
          .orderBy(...order)
      return await db
        .select(columns)
        .from(notes)
        .innerJoin(tags, and(eq(tags.note_id, notes.id), eq(tags.tag, tag)))
        .where(readable)
        .orderBy(...order)
    })
    .get('/notes/:id', async ({ user, params: { id }, status }) => {
      return (await find(id, mayRead(user.id))) ?? status(404, { error: 'no such note' })
    })
    .post(
      '/notes/:id/move',
      async ({ user, params: { id }, body: { folder }, status }) => {
        const note = await find(id, eq(notes.owner_id, user.id))
        if (!note) return status(404, { error: 'no such note' })
        try {
          await data.move({
            id: crypto.randomUUID(),
            note_id: id,
            from_folder: note.folder,
            to_folder: folder,
            moved_by: user.id,
            moved_at: now(),
          })
        } catch (error) {
          if (isRefused(error)) return status(409, { error: `it is in ${folder} already` })
          throw error
        }
        return { ...note, folder }
      },
      { body: t.Object({ folder: Text({ minLength: 1 }) }) },
    )
    .get('/notes/:id/moves', async ({ user, params: { id }, status }) => {
      if (!(await find(id, mayRead(user.id)))) return status(404, { error: 'no such note' })
      return await db
        .select({ from: moves.from_folder, to: moves.to_folder, at: moves.moved_at })
        .from(moves)
        .where(eq(moves.note_id, id))
        .orderBy(moves.moved_at)
    })
    .post(
      '/notes/:id/shares',
      async ({ user, params: { id }, body: { name }, status }) => {
        const note = await find(id, eq(notes.owner_id, user.id))
        const [reader] = await db.select({ id: users.id }).from(users).where(eq(users.name, name))
        if (!note || !reader) return status(404, { error: 'no such note or user' })
        await db.insert(shares).values({ note_id: id, user_id: reader.id }).onConflictDoNothing()
        const told = await fetch(webhook, { method: 'POST', body: JSON.stringify({ note: note.title, reader: name }) })
        return status(201, { told: told.ok })
      },
      { body: t.Object({ name: Text() }) },
    )
}
