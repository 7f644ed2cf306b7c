import { expect, test } from 'bun:test'
import { onlyReads } from '../../src/testing/reads'

test.each([
  'select "id" from "notes" where ("notes"."tenant_id" = $1 and "id" in ($2, $3)) order by "id" desc limit $4',
  'select count(*) from notes',
  ' SELECT coalesce(max("position"), 0) FROM (select * from notes) as n where exists (select 1 from other)',
])('only reads: %s', (text) => {
  expect(onlyReads(text)).toBe(true)
  expect(onlyReads(text)).toBe(true)
})

test.each([
  'insert into notes (id) values ($1)',
  'select add_note($1)',
  'select "count"($1)',
  'select app.count($1)',
  'select "app".count($1)',
  'select écount($1)',
  "select nextval('ids')",
  "select set_config('app.tenant', $1, true)",
  'select evil/**/($1)',
  'select evil -- \n ($1)',
  'select 1; delete from notes',
  'select * into other from notes',
  'select * from notes for update',
  'select * from notes FOR NO KEY UPDATE skip locked',
  'select * from notes for key share',
  'with gone as (delete from notes returning id) select * from gone',
])('may leave something behind: %s', (text) => {
  expect(onlyReads(text)).toBe(false)
})
