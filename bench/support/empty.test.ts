import { expect, test } from '../../test/kit'

/** What a run costs before its first test: see bench/suite.ts. */
test('nothing is asked of it', () => {
  expect(process.env.TESTING_DATABASE_URL).toBeString()
})
