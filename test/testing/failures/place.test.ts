import { expect, test } from 'bun:test'
import { failureOf } from '../../../src/testing/failure'
import { Ledger } from '../../../src/testing/ledger'

const said = (...frames: string[]): string | undefined => {
  const error = new Error('The shelf is empty.')
  error.stack = `Error: The shelf is empty.\n${frames.map((frame) => `    at ${frame}`).join('\n')}`
  return failureOf([], [error], new Ledger(), undefined)?.message
}

const driver = `query (${process.cwd()}/node_modules/postgres/src/connection.js:1:2)`
const native = ['processTicksAndRejections (native:7:39)', 'emit (node:events:100:22)', '#run (bun:sqlite:195:25)']

test('an unexpected error is told with the first place that is in the code of the app', () => {
  const message = said(driver, ...native, `shelve (${process.cwd()}/app.ts:7:1)`)

  expect(message).toContain('  Error: The shelf is empty.\n    at shelve (app.ts:7:1)\n')
})

test('an unexpected error is told without a place where none is in the code of the app', () => {
  const message = said(driver, ...native)

  expect(message).toContain('  Error: The shelf is empty.\nRepair the app')
})
