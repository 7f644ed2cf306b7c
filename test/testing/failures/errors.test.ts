import { describe, expect, test } from 'bun:test'
import { backend, bunTest } from './child'

const run = bunTest('errors.ts')

describe(`on ${backend}`, () => {
  describe('an app that goes wrong', async () => {
    const { says, junit, exitCode } = await run

    test('fails the run', () => {
      expect(exitCode).toBe(1)
    })

    test('fails a test that did not look at its 500, with the error and where it came from', () => {
      const said = says['an unlooked 500']

      expect(said).toContain(
        'error: The app had an unexpected error that the test did not take:\n  Error: The shelf is empty.\n    at <anonymous> (app.ts:',
      )
      expect(said).toContain('Repair the app, or take it with takeErrors() where the test means it to happen.')
      expect(says['a taken error']).toBe('')
    })

    test('fails the test that caused an error after the response', () => {
      expect(says['an error after the response']).toContain('  Error: The index was not updated.\n')
    })

    test('fails a test whose app swallowed that no turn of the model was scripted', () => {
      expect(says['an unscripted question']).toContain(
        '  Error: The model was asked something that no turn was scripted for: {"question":"What is a note?"}. Script it before the request: provider.says(\'...\').\n',
      )
    })

    test('fails a test whose app swallowed that no answer of the network was scripted', () => {
      expect(says['an unscripted request']).toContain(
        "  Error: The app sent POST https://hooks.example/notes, for which no answer was scripted: http.on('POST', 'https://hooks.example/notes', new Response(...)).\n",
      )
    })

    test('says with each failure what the test did, on the console and in the JUnit file', () => {
      const story =
        /What the test did:\nPOST \/notes -> 200 \([\d.]+ ms\)\n {2}insert into notes \(text\) values \('shopping'\) \([\d.]+ ms\)\nGET \/notes -> 200 \([\d.]+ ms\)\n {2}select id, text from notes order by id \([\d.]+ ms\)\n/

      expect(says['a failed expectation']).toMatch(/errors\.ts:\d+/)
      expect(says['a failed expectation']).toMatch(story)
      expect(plain(junit)).toMatch(story)
    })

    test('says what was thrown that is not an error', () => {
      expect(says['a thrown text']).toContain('error: Something was thrown that is not an Error: "only a text"')
    })
  })

  describe('a database that is not used as it can be', async () => {
    const { says } = await run

    test('refuses the outer handle inside a transaction, which would wait for ever', () => {
      expect(says['the outer handle in a transaction']).toContain(
        "error: The outer database handle was used inside a transaction (insert into notes (text) values ('outside')). On one connection it would wait for that transaction, and the transaction for it. Use the transaction's own handle.",
      )
    })

    test.each(['a broken deferred constraint', 'a broken deferred constraint outside a transaction'])(
      'refuses %s where COMMIT would',
      (name) => {
        expect(says[name]).toMatch(
          /FOREIGN KEY constraint failed|violates foreign key constraint "replies_note_id_fkey"/,
        )
      },
    )

    test('refuses a raw COMMIT, and says what else there is', () => {
      expect(says['a raw COMMIT']).toContain(
        `error: A raw transaction statement does not work at the isolation level "savepoint": it would end the transaction that isolates this test. Use the transaction function of the database handle. Give the test a database of its own: test(name, { isolation: 'fork' }, ...).`,
      )
    })

    test('goes on after a statement that failed outside a transaction', () => {
      expect(says['a failed statement']).toBe('')
    })

    test('does not let a test change what a seed returned to all', () => {
      expect(says['shared rows > a changed seed']).toContain('TypeError: Attempted to assign to readonly property.')
    })
  })
})

const plain = (xml: string) =>
  xml
    .replaceAll('&#10;', '\n')
    .replaceAll('&apos;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
