import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'

/** Of the content of these files and of all in these folders, and of the names in there. */
export function hashOf(paths: readonly string[]): string {
  const hasher = new Bun.CryptoHasher('sha256')
  const add = (path: string, name: string): void => {
    if (statSync(path).isDirectory()) {
      for (const each of readdirSync(path).sort()) add(join(path, each), `${name}/${each}`)
    } else hasher.update(`${name}\0`).update(readFileSync(path)).update('\0')
  }
  for (const path of paths) add(path, '')
  return hasher.digest('hex').slice(0, hashDigits)
}

const hashDigits = 12

type Names = {
  /** The template's, and that of the role that owns it. */
  name: string
  prefix: string
  role: string | undefined
  /** What this run's connections are called. */
  self: string
  /** Where the template is made; leftovers of killed runs have such names. */
  unfinished: string
}

/**
 * Sees to a database `name` with all tables, which is kept between runs. The first to come makes it, others wait. It gets
 * its name when it is whole and nobody can connect to it any more, so one that is there needs no second look. Returns whether this
 * run made it.
 */
export async function keptTemplate(admin: Sql, names: Names, make: () => Promise<void>): Promise<boolean> {
  const { name, prefix, role, self, unfinished } = names
  if (await isThere(admin, name)) return false
  return await admin.begin(async (locked) => {
    await locked`select pg_advisory_xact_lock(${lockClass}, hashtext(${prefix}))`
    // Beside the lock's transaction, in which no database can be made.
    if (await isThere(admin, name)) return false
    if (role !== undefined) await makeRole(admin, role)
    await make()
    await admin.unsafe(`comment on database ${quoted(unfinished)} is '${mark}'`)
    await admin.unsafe(`alter database ${quoted(unfinished)} with allow_connections false`)
    await admin.unsafe(`alter database ${quoted(unfinished)} rename to ${quoted(name)}`)
    await removeOthers(admin, name, prefix, self)
    return true
  })
}

/** By this the kit knows what it made. */
const mark = 'Tables without rows, kept between test runs by the test kit, which removes it when others take its place.'

/** Any constant will do that nobody else takes. */
const lockClass = 727362

async function isThere(admin: Sql, name: string): Promise<boolean> {
  const [found] = await admin`
    select shobj_description(oid, 'pg_database') as comment from pg_database where datname = ${name}`
  if (found && found.comment !== mark) {
    throw new Error(
      `The test kit would keep its tables in a database "${name}", and there is one of this name that it did not make. Rename that one, or leave out \`madeFrom\`.`,
    )
  }
  return found !== undefined
}

async function makeRole(admin: Sql, name: string): Promise<void> {
  const [found] = await admin`select from pg_roles where rolname = ${name}`
  if (!found) await admin.unsafe(`create role ${quoted(name)} createdb`)
}

/** Templates of other tables, unless another run lives, which may be about to copy one. */
async function removeOthers(admin: Sql, name: string, prefix: string, self: string): Promise<void> {
  const others = await admin<{ datname: string }[]>`
    select datname from pg_database
    where starts_with(datname, ${prefix}) and datname <> ${name} and shobj_description(oid, 'pg_database') = ${mark}
      and not exists (
        select from pg_stat_activity where starts_with(application_name, ${prefix}) and application_name <> ${self})`
  for (const { datname } of others) {
    if (!/^[0-9a-f]+$/.test(datname.slice(prefix.length))) continue
    await admin.unsafe(`drop database if exists ${quoted(datname)}`).catch(() => {})
    await admin.unsafe(`drop role if exists ${quoted(datname)}`).catch(() => {}) // it owns what was kept for a look
  }
}

const quoted = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
