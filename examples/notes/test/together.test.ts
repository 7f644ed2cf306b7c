import { expect } from 'bun:test'
import { describe, test } from './kit'

const ten = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

describe('requests at the same time', () => {
  for (const isolation of ['savepoint', 'fork'] as const) {
    test(`each make their note: ${isolation}`, { isolation }, async ({ ann }) => {
      const responses = await Promise.all(ten.map((n) => ann.post('/notes', { title: `note ${n}`, body: '' })))

      expect(responses.map(({ status }) => status)).toEqual(ten.map(() => 201))
      expect((await ann.get('/notes')).body).toHaveLength(10)
    })

    test(`with the same title make one note: ${isolation}`, { isolation }, async ({ ann }) => {
      const responses = await Promise.all(ten.map(() => ann.post('/notes', { title: 'the one', body: '' })))

      expect(responses.map(({ status }) => status).sort()).toEqual([201, ...ten.slice(1).map(() => 409)])
      expect((await ann.get('/notes')).body).toHaveLength(1)
    })
  }

  test('move a note one after the other', async ({ ann }) => {
    const { body: note } = await ann.post('/notes', { title: 'a note', body: '' })

    const responses = await Promise.all(ten.map((n) => ann.post(`/notes/${note.id}/move`, { folder: `folder ${n}` })))

    expect(responses.map(({ status }) => status)).toEqual(ten.map(() => 200))
    expect((await ann.get(`/notes/${note.id}/moves`)).body).toHaveLength(10)
  })
})

describe('tests at the same time', () => {
  test.concurrent.each(['x', 'y', 'z'])('do not see the notes of others: %s', async (title, { ann, settle }) => {
    await ann.post('/notes', { title, body: '' })
    await settle()

    const response = await ann.get('/notes')

    expect(response).toMatchObject({ status: 200, body: [{ title }] })
  })
})
