import { describe, expect, test } from 'bun:test'
import { connect } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import type { Session } from '../../../src/database/session'
import { Held } from '../../../src/testing/held'
import { groundOn } from '../../../src/testing/sandbox'
import { emptyDatabase } from '../../own-database'

const ask = (session: Session, text: string) => session.run({ text, params: [], shape: 'arrays' })

/** With a deadlock in it, after which a transaction of the service is begun again. */
async function withClash(session: Session): Promise<Held> {
  const held = await Held.open(session, groundOn(dialect))
  await ask(held.session, "do $$ begin raise exception using errcode = '40P01'; end $$").catch(() => {})
  await ask(held.session, 'rollback to savepoint kit_step')
  return held
}

describe.if(dialect === 'postgres')('the transaction of a test in which there was a deadlock', () => {
  test('ends without another connection', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url, { maxConnections: 1 })
    const held = await withClash(connection.root.session)
    const next = Held.open(connection.root.session, groundOn(dialect))

    await held.rollback()

    expect(held.isOver).toBe(true)
    await (await next).rollback()
  })

  test('is not taken for another one when its connection is lost', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url, { maxConnections: 2 })
    const held = await withClash(connection.root.session)

    await ask(held.session, 'set role none') // the role of tests may not do it
    await ask(held.session, 'select pg_terminate_backend(pg_backend_pid())').catch(() => {})
    while (!held.isOver) await Bun.sleep(5)

    expect(await ask(held.session, 'select 1').catch(() => 'refused')).toBe('refused')
  })
})
