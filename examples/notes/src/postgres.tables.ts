import { pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

const time = () => timestamp({ withTimezone: true }).notNull()

export const users = pgTable('users', {
  id: text().primaryKey(),
  name: text().notNull(),
  role: text({ enum: ['writer', 'reader'] }).notNull(),
  key_hash: text().notNull(),
})

export const notes = pgTable('notes', {
  id: text().primaryKey(),
  owner_id: text().notNull(),
  folder: text().notNull(),
  title: text().notNull(),
  body: text().notNull(),
  created_at: time(),
})

export const tags = pgTable('tags', { note_id: text().notNull(), tag: text().notNull() }, (table) => [
  primaryKey({ columns: [table.note_id, table.tag] }),
])

export const shares = pgTable('shares', { note_id: text().notNull(), user_id: text().notNull() }, (table) => [
  primaryKey({ columns: [table.note_id, table.user_id] }),
])

export const moves = pgTable('moves', {
  id: text().primaryKey(),
  note_id: text().notNull(),
  from_folder: text().notNull(),
  to_folder: text().notNull(),
  moved_by: text().notNull(),
  moved_at: time(),
})
