import { expect } from 'bun:test'
import { data, describe, hook } from './kit'

const at = new Date('2025-12-24T00:00:00.000Z')
const note = (id: string, owner_id: string) => ({ id, owner_id, folder: 'inbox', title: id, body: '', created_at: at })

// Made once; every test of the group starts from these rows, and what it does to them is undone.
const twoNotes = async () => {
  await data.db.insert(data.tables.notes).values([note('plan', 'ann'), note('diary', 'ann')])
  return { plan: 'plan' }
}

describe('with two notes', { seed: twoNotes }, (test) => {
  test('a share lets the other read one of them, and tells the hook', async ({ ann, ben, http, plan }) => {
    http.on('POST', hook, new Response('ok'))

    const response = await ann.post(`/notes/${plan}/shares`, { name: 'ben' })

    expect(response).toMatchObject({ status: 201, body: { told: true } })
    expect(await Promise.all(http.sent.map((request) => request.json()))).toEqual([{ note: 'plan', reader: 'ben' }])
    expect(await ben.get('/notes')).toMatchObject({ body: [{ title: 'plan' }] })
  })

  test('a share is kept when the hook does not answer well', async ({ ann, ben, http, plan }) => {
    http.on('POST', hook, new Response('down', { status: 503 }))

    const response = await ann.post(`/notes/${plan}/shares`, { name: 'ben' })

    expect(response).toMatchObject({ status: 201, body: { told: false } })
    expect(await ben.get(`/notes/${plan}`)).toMatchObject({ status: 200 })
  })

  test('nobody shares what is not theirs', async ({ ann, ben, http, plan }) => {
    http.on('POST', hook, new Response('ok'))

    const response = await ben.post(`/notes/${plan}/shares`, { name: 'ben' })

    expect(response).toMatchObject({ status: 404 })
    expect(http.sent).toEqual([])
    expect(await ann.post(`/notes/${plan}/shares`, { name: 'ben' })).toMatchObject({ status: 201 })
  })

  const shared = async () => {
    await data.db.insert(data.tables.shares).values({ note_id: 'plan', user_id: 'rea' })
    return { reader: 'rea' }
  }
  describe('of which one is shared', { seed: shared }, (test) => {
    test('a reader sees that one only', async ({ rea, reader }) => {
      const response = await rea.get('/notes')

      expect(reader).toBe('rea')
      expect(response).toMatchObject({ status: 200, body: [{ title: 'plan' }] })
    })

    test('a reader cannot move it, its owner can', async ({ ann, rea }) => {
      const response = await rea.post('/notes/plan/move', { folder: 'stolen' })

      expect(response).toMatchObject({ status: 404 })
      expect(await ann.post('/notes/plan/move', { folder: 'done' })).toMatchObject({ status: 200 })
    })
  })
})
