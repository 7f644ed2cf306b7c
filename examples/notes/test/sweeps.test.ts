import { and, eq } from 'drizzle-orm'
import { authorisationSweep, contractFuzz, type FixturesOf, isolationSweep } from 'tenantry/testing'
import { app, data, describe, hook, type kit, test } from './kit'

type All = FixturesOf<typeof kit>
type Policy = 'anyone' | 'writers' | 'owner'

const policies: Record<string, Policy | 'public'> = {
  'GET /up': 'public',
  'GET /notes': 'anyone',
  'POST /notes': 'writers',
  'GET /notes/:id': 'owner',
  'GET /notes/:id/moves': 'owner',
  'POST /notes/:id/move': 'owner',
  'POST /notes/:id/shares': 'owner',
}

const note = (text = 'text') => ({ title: text, body: text, folder: text, tags: [text] })
const madeBy = async (client: All['ann'], text?: string): Promise<string> =>
  (await client.post('/notes', note(text))).body.id
const answering = ({ http }: All) => void http.on('POST', hook, new Response())

describe('who may do what', () => {
  authorisationSweep<All, (typeof app.routes)[number], Policy>(test, {
    routes: app.routes,
    policyOf: ({ method, path }) => policies[`${method} ${path}`],
    callers: {
      stranger: { client: ({ stranger }) => stranger, refusal: () => 401 },
      reader: {
        client: ({ rea }) => rea,
        refusal: (policy) => ({ anyone: undefined, writers: 403, owner: 404 })[policy],
      },
      'another writer': { client: ({ ben }) => ben, refusal: (policy) => (policy === 'owner' ? 404 : undefined) },
      owner: { client: ({ ann }) => ann, refusal: () => undefined },
    },
    requests: {
      'GET /up': () => ({ path: '/up', status: 200 }),
      'GET /notes': () => ({ path: '/notes', status: 200 }),
      'POST /notes': () => ({ path: '/notes', body: note(), status: 201 }),
      'GET /notes/:id': async ({ ann }) => ({ path: `/notes/${await madeBy(ann)}`, status: 200 }),
      'GET /notes/:id/moves': async ({ ann }) => ({ path: `/notes/${await madeBy(ann)}/moves`, status: 200 }),
      'POST /notes/:id/move': async ({ ann }) => ({
        path: `/notes/${await madeBy(ann)}/move`,
        body: { folder: 'done' },
        status: 200,
      }),
      'POST /notes/:id/shares': async (all) => {
        answering(all)
        return { path: `/notes/${await madeBy(all.ann)}/shares`, body: { name: 'ben' }, status: 201 }
      },
    },
  })
})

describe('what is whose', () => {
  const { db, tables } = data
  const { notes, tags, shares, moves } = tables
  isolationSweep<All, { id: string }>(test, {
    routes: app.routes,
    owner: ({ ann }) => ann,
    stranger: ({ ben }) => ben,
    plant: async (_, client, canary) => ({ id: await madeBy(client, canary('text')) }),
    nobodys: ({ id }) => ({ id: [...id].reverse().join('') }),
    sees: ({ id }) => [`/notes/${id}`],
    rows: async () => [
      await db.select().from(notes).where(eq(notes.owner_id, 'ann')),
      await db
        .select()
        .from(tags)
        .innerJoin(notes, and(eq(notes.id, tags.note_id), eq(notes.owner_id, 'ann'))),
      await db.select().from(shares),
      await db.select().from(moves),
    ],
    smuggled: ({ id }) => ({ id, note_id: id, owner_id: 'ann', user_id: 'ann' }),
    volatile: [/"id":"[^"]+"/g],
    each: answering,
    entries: {
      'GET /up': { owner: 200, attempts: () => [{ path: '/up' }] },
      'GET /notes': { owner: 200, attempts: () => [{ path: '/notes' }, { path: '/notes?tag=text' }] },
      'POST /notes': { owner: 201, attempts: () => [{ path: '/notes', body: note() }] },
      'GET /notes/:id': { owner: 200, attempts: ({ id }) => [{ path: `/notes/${id}` }] },
      'GET /notes/:id/moves': { owner: 200, attempts: ({ id }) => [{ path: `/notes/${id}/moves` }] },
      'POST /notes/:id/move': {
        owner: 200,
        attempts: ({ id }) => [{ path: `/notes/${id}/move`, body: { folder: 'mine' } }],
      },
      'POST /notes/:id/shares': {
        owner: 201,
        attempts: ({ id }) => [{ path: `/notes/${id}/shares`, body: { name: 'ben' } }],
      },
    },
  })
})

describe('what may be said', () => {
  contractFuzz<All>(test, {
    routes: app.routes,
    client: ({ ann }) => ann,
    prepare: async ({ ann }) => ({ id: [await madeBy(ann)], name: ['ben'] }),
    each: answering,
    unknownFields: 'dropped',
  })
})
