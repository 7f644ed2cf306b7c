import type { Client } from '../../src/testing'
import { describe, expect, test } from '../kit'

type Titled = { title: string }

async function search(client: Client, q: string, more = '') {
  const { status, body, headers } = await client.get(`/api/v1/conversations?q=${encodeURIComponent(q)}${more}`)
  return { status, total: headers['x-total-count'], titles: body.map(({ title }: Titled) => title) }
}

const found = (...titles: string[]) => ({ status: 200, total: String(titles.length), titles })

describe('GET /api/v1/conversations?q=', () => {
  test('takes sixteen different words; more are refused, and none is left out', async ({ operatorA }) => {
    const words = Array.from({ length: 16 }, (_, at) => `w${at}`).join(' ')
    await operatorA.post('/api/v1/conversations', { title: words })

    const refused = await operatorA.get(`/api/v1/conversations?q=${encodeURIComponent(`${words} w16`)}`)

    const message = 'must have at most 16 different words'
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: '/q', message }] } })
    expect(await search(operatorA, `w15 w0 ${words}`)).toEqual(found(words))
    expect(await search(operatorA, words.replace('w3', 'w16'))).toEqual(found())
  })

  test.each([
    ['a word of the title', 'budget', ['Budget for Q3']],
    ['two words in any order', 'q3 budget', ['Budget for Q3']],
    ['the beginning of the last word', 'bud', ['Budget for Q3']],
    ['words and the beginning of the last', 'budget fo', ['Budget for Q3']],
    ['the beginning of a word that is not the last', 'bud q3', []],
    ['the middle of a word', 'udget', []],
    ['words of which one is missing', 'budget q4', []],
    ['another case', 'BUDGET', ['Budget for Q3']],
    ['letters beyond ASCII', 'Wörter', ['Schöne Wörter']],
    ['letters beyond ASCII in another case', 'WÖRTER', ['Schöne Wörter']],
    ['letters whose accents come apart', 'Wo\u0308rter', ['Schöne Wörter']],
    ['a letter without its accent', 'Worter', []],
    ['the beginning of a word up to an accent', 'schö', ['Schöne Wörter']],
    ['the beginning of such a word up to an accent', 're\u0301', ['Re\u0301sume\u0301 of Zoë']],
    ['a word that was written with its accents apart', 'Résumé', ['Re\u0301sume\u0301 of Zoë']],
    ['such a word as it was written', 'Re\u0301sume\u0301', ['Re\u0301sume\u0301 of Zoë']],
    ['the beginning of such a word', 'résu', ['Re\u0301sume\u0301 of Zoë']],
    ['such a word and one with its accents in its letters', 'zoë résumé', ['Re\u0301sume\u0301 of Zoë']],
    ['Cyrillic', 'привет', ['Привет, мир']],
    ['the beginning of a Cyrillic word', 'при', ['Привет, мир']],
    ['Chinese', '你好', ['你好 世界']],
    ['a script whose vowels are marks', 'हिन्दी', ['हिन्दी भाषा']],
    ['the beginning of such a word', 'हिन्', ['हिन्दी भाषा']],
    ['a word of such a script that nothing has', 'मराठी', []],
    ['a letter and a mark that have no form in one', 'x\u0301y', ['x\u0301y']],
    ['a capital whose small form is two characters', 'İstanbul', ['İstanbul']],
    ['a sign that nothing has', '½', []],
    ['a number', '2026', ['Plans 2026']],
    ['a word with punctuation around it', '  «budget»!! ', ['Budget for Q3']],
    ['a word that nothing has', 'unicorn', []],
  ] as const)('finds by %s', async (_what, q, titles, { operatorA }) => {
    for (const title of [
      'Budget for Q3',
      'Schöne Wörter',
      'Привет, мир',
      '你好 世界',
      'Plans 2026',
      'हिन्दी भाषा',
      'x\u0301y',
      'İstanbul',
      'Re\u0301sume\u0301 of Zoë',
      'School reports',
    ])
      await operatorA.post('/api/v1/conversations', { title })

    const response = await search(operatorA, q)

    expect(response).toEqual(found(...titles))
  })

  test('looks into what was asked and what was answered', async ({ operatorA, model }) => {
    model.says('Lisbon, of course')
    await operatorA.post('/api/v1/chat', { message: 'A trip\nto some warm place' })

    const answers = [await search(operatorA, 'warm'), await search(operatorA, 'lisb'), await search(operatorA, 'oslo')]

    expect(answers).toEqual([found('A trip'), found('A trip'), found()])
  })

  test('wants all words in the title or all in one message', async ({ operatorA, model }) => {
    model.says('green tea')
    await operatorA.post('/api/v1/chat', { message: 'Drinks\nblack coffee' })

    const answers = [await search(operatorA, 'green tea'), await search(operatorA, 'green coffee')]

    expect(answers).toEqual([found('Drinks'), found()])
  })

  test('knows the title of now, not the one before', async ({ operatorA }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', { title: 'Apples' })
    const path = `/api/v1/conversations/${created.id}`

    await operatorA.patch(path, { title: 'Pears' })

    expect([await search(operatorA, 'pears'), await search(operatorA, 'apples')]).toEqual([found('Pears'), found()])
    await operatorA.patch(path, { title: null })
    expect(await search(operatorA, 'pears')).toEqual(found())
    await operatorA.patch(path, { title: 'Plums' })
    expect(await search(operatorA, 'plums')).toEqual(found('Plums'))
  })

  test('forgets a deleted conversation and what was said in it', async ({ adminA, model }) => {
    model.says('a secret answer')
    const { body: reply } = await adminA.post('/api/v1/chat', { message: 'secret question' })
    expect(await search(adminA, 'secret')).toEqual(found('secret question'))

    await adminA.delete(`/api/v1/conversations/${reply.conversation_id}`)

    expect(await search(adminA, 'secret')).toEqual(found())
  })

  test('has the archived ones only when asked', async ({ operatorA }) => {
    await operatorA.post('/api/v1/conversations', { title: 'plan, open' })
    const { body: archived } = await operatorA.post('/api/v1/conversations', { title: 'plan, archived' })
    await operatorA.patch(`/api/v1/conversations/${archived.id}`, { is_archived: true })

    const answers = [await search(operatorA, 'plan'), await search(operatorA, 'plan', '&include_archived=true')]

    expect(answers).toEqual([found('plan, open'), found('plan, archived', 'plan, open')])
  })

  test('counts all that match, whatever the page', async ({ operatorA }) => {
    for (const title of ['plan a', 'plan b', 'else', 'plan c']) await operatorA.post('/api/v1/conversations', { title })

    const response = await search(operatorA, 'plan', '&limit=2')

    expect(response).toEqual({ status: 200, total: '3', titles: ['plan c', 'plan b'] })
  })

  test("never finds another tenant's words", async ({ adminA, adminB, model, tenantA }) => {
    model.says('zanzibar')
    await adminA.post('/api/v1/chat', { message: 'xylophone' })

    const answers = [
      await search(adminB, 'xylophone'),
      await search(adminB, 'zanzi'),
      await search(adminB, 'x OR zanzibar'),
      await search(adminB, `t${tenantA.id.replaceAll('-', '')}`),
    ]

    expect(answers).toEqual([found(), found(), found(), found()])
    expect(await search(adminA, 'zanzi')).toEqual(found('xylophone'))
  })

  test.each([
    ['"', []],
    ['"tea"', ['tea']],
    ['"tea', ['tea']],
    ['*', []],
    ['tea*', ['tea']],
    ['NEAR(tea milk)', []],
    ['tea AND', []],
    ['tea OR milk', []],
    ['NOT tea', []],
    ['-tea', ['tea']],
    ['(((', []],
    ['tea)', ['tea']],
    [':', []],
    ['words:tea', []],
    ['scope : tea', []],
    ['{words} : tea', []],
    ['^tea', ['tea']],
    ['-', []],
    ["'", []],
    ["tea' OR '1'='1", []],
    ["'; DROP TABLE conversations; --", []],
    ['tea & !milk | milk:*', []],
    ['\\', []],
    ['\0', []],
    ['te\0a', []],
    ['%', []],
    ['t%', ['tea']],
    ['_', []],
    ['te_', ['tea']],
    ['!?.,;#$@<>[]{}', []],
    ['\ufeff\u200b\u202e', []],
    ['\u0301', []],
    ['🚀', []],
    ['x'.repeat(200), []],
    ['a '.repeat(100), []],
    ['('.repeat(200), []],
  ] as const)('takes %j for words and not for syntax', async (q, titles, { operatorA }) => {
    await operatorA.post('/api/v1/conversations', { title: 'milk' })
    await operatorA.post('/api/v1/conversations', { title: 'tea' })

    const response = await search(operatorA, q)

    expect(response).toEqual(found(...titles))
    expect(await search(operatorA, 'tea')).toEqual(found('tea'))
  })
})
