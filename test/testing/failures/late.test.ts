import { describe, expect, test } from 'bun:test'
import { backend, bunTest } from './child'

const late = bunTest('late.ts')
const rejected = bunTest('rejected.ts')
const unfinished = bunTest('unfinished.ts')
const streams = bunTest('streams.ts')

describe(`on ${backend}`, () => {
  describe('what comes after its test', async () => {
    const { says, output } = await late

    test('is refused, and its error names the test, its place and how late it was', () => {
      expect(output).toMatch(
        /^The test "runs on after its time" \(late\.ts:\d+\) is over, and \d+ ms later something that it started asked the database: insert into notes \(text\) values \('after its time'\)\. Await it, or settle\(\) before the test ends\.$/m,
      )
    })

    test('is refused beside other tests too', () => {
      expect(output).toMatch(/^The test "runs on beside another one" \(late\.ts:\d+\) is over, and \d+ ms later/m)
    })

    test('does not get into another test', () => {
      expect(says).toMatchObject({ 'is the other one': '', 'comes after all of them': '' })
    })

    test('fails the run even if nobody heard of it, when its own test had passed', () => {
      expect(says['forgets an await']).toBe('')
      expect(says['(unnamed)']).toMatch(
        /error: After tests that passed, something that they started came too late, once:\n {2}The test "forgets an await" \(late\.ts:\d+\) is over/,
      )
    })

    test('is named at the end of the test when it is a transaction that does not end', () => {
      expect(says['leaves a transaction open']).toContain(
        'error: Something that the test started was still running after 300 ms: a transaction. End it in the test: await it, release what hangs, abort the request.',
      )
    })
  })

  test('a test that is hit by the error of another one is told whose it is', async () => {
    const { says } = await rejected

    expect(says['is hit by it']).toMatch(
      /error: The test "forgets an await" \(rejected\.ts:\d+\) is over, and \d+ ms later/,
    )
  })
})

describe('what does not end', async () => {
  const { says } = await unfinished

  test('is named when it is a request', () => {
    const message =
      'error: Something that the test started was still running after 300 ms: GET /waiting has no answer. End it in the test: await it, release what hangs, abort the request.'

    expect(says['leaves a request without an answer']).toContain(message)
    expect(says['waits for it with settle']).toContain(message)
  })

  test('is named when it is the work of the app', () => {
    expect(says['leaves work that does not end']).toContain(
      'error: Something that the test started was still running after 300 ms: work that the settle() of the app waits for.',
    )
  })

  test('is named when it takes the time of the test', () => {
    expect(says['waits for a request without an answer']).toContain(
      'error: The test ran longer than 20 ms and was ended, when GET /waiting has no answer. What it asks the database from now on is refused.',
    )
  })

  test.if(backend === 'postgres:embedded')('is named when it is a statement', () => {
    expect(says['waits for a lock of its own transaction']).toContain(
      "error: The test ran longer than 200 ms and was ended, when the database had not answered insert into notes (text) values ('one'), asked through the outer handle inside a transaction, whose locks it may wait for. What it asks the database from now on is refused.",
    )
  })
})

describe('a stream that never ends', async () => {
  const { says } = await streams

  test('is hung up on at the end of the test', () => {
    expect(says).toMatchObject({
      'hangs up on a stream that it did not read': '',
      'hangs up on a stream that it read a little': '',
    })
  })

  test('is named when a test reads it to its end', () => {
    expect(says['reads a stream that never ends to its end']).toContain(
      'error: The test ran longer than 50 ms and was ended, when the stream of GET /events has not ended.',
    )
  })
})
