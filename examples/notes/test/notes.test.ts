import { expect } from 'bun:test'
import { describe, test } from './kit'

const groceries = () => ({ title: 'Groceries', body: 'milk' })

describe('who asks', () => {
  test.each(['/notes', '/notes/1'])('is asked for a key at %s', async (path, { ann, stranger }) => {
    const { body: note } = await ann.post('/notes', groceries())

    const response = await stranger.get(path.replace('1', note.id))

    expect(response).toMatchObject({ status: 401, body: { error: 'an x-api-key is needed' } })
    expect(await ann.get(path.replace('1', note.id))).toMatchObject({ status: 200 })
  })

  test('may only write as a writer', async ({ ann, rea }) => {
    const refused = await rea.post('/notes', groceries())

    expect(refused).toMatchObject({ status: 403, body: { error: 'readers cannot write' } })
    expect(await ann.post('/notes', groceries())).toMatchObject({ status: 201 })
  })
})

describe('a note', () => {
  test('is made in the inbox, at the time of the clock', async ({ ann, clock }) => {
    clock.advance({ hours: 2 })

    const response = await ann.post('/notes', groceries())

    expect(response).toMatchObject({
      status: 201,
      body: { owner_id: 'ann', folder: 'inbox', title: 'Groceries', created_at: '2026-01-01T02:00:00.000Z' },
    })
  })

  // The same row three times, in any order: each test starts from the seed.
  test.each([1, 2, 3])('can be made again in the next test: %d', async (_, { ann }) => {
    expect(await ann.get('/notes')).toMatchObject({ body: [] })

    const response = await ann.post('/notes', groceries())

    expect(response).toMatchObject({ status: 201 })
  })

  test('is refused with a title that one has already, and others are made after that', async ({ ann, ben }) => {
    await ann.post('/notes', groceries())

    const response = await ann.post('/notes', groceries())

    expect(response).toMatchObject({ status: 409, body: { error: 'you have a note called Groceries' } })
    expect(await ann.post('/notes', { title: 'Other', body: '' })).toMatchObject({ status: 201 })
    expect(await ben.post('/notes', groceries())).toMatchObject({ status: 201 })
  })

  test('does not exist for others', async ({ ann, ben }) => {
    const { body: note } = await ann.post('/notes', groceries())

    const response = await ben.get(`/notes/${note.id}`)

    expect(response).toMatchObject({ status: 404, body: { error: 'no such note' } })
    expect(await ann.get(`/notes/${note.id}`)).toMatchObject({ status: 200, body: { title: 'Groceries' } })
  })

  test('is found by its tag', async ({ ann }) => {
    await ann.post('/notes', { ...groceries(), tags: ['home', 'shop'] })
    await ann.post('/notes', { title: 'Taxes', body: '', tags: ['home'] })

    const response = await ann.get('/notes?tag=shop')

    expect(response).toMatchObject({ status: 200, body: [{ title: 'Groceries' }] })
    expect(await ann.get('/notes?tag=home')).toMatchObject({ body: [{ title: 'Groceries' }, { title: 'Taxes' }] })
  })
})

describe('a move', () => {
  test('changes the folder and is written down', async ({ ann, clock }) => {
    const { body: note } = await ann.post('/notes', groceries())
    clock.advance({ days: 1 })

    const response = await ann.post(`/notes/${note.id}/move`, { folder: 'done' })

    expect(response).toMatchObject({ status: 200, body: { folder: 'done' } })
    expect(await ann.get(`/notes/${note.id}/moves`)).toMatchObject({
      body: [{ from: 'inbox', to: 'done', at: '2026-01-02T00:00:00.000Z' }],
    })
  })

  test('that cannot be written down does not happen', async ({ ann }) => {
    const { body: note } = await ann.post('/notes', groceries())

    const response = await ann.post(`/notes/${note.id}/move`, { folder: 'inbox' })

    expect(response).toMatchObject({ status: 409, body: { error: 'it is in inbox already' } })
    expect(await ann.get(`/notes/${note.id}/moves`)).toMatchObject({ body: [] })
    expect(await ann.post(`/notes/${note.id}/move`, { folder: 'done' })).toMatchObject({ status: 200 })
  })
})
