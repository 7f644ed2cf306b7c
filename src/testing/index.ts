export { type AuthorisationSweep, authorisationSweep, type Caller, type RightRequest } from './authorisation-sweep'
export { type Client, type ClientResponse, client, events, read, type SendOptions, type StreamEvent } from './client'
export { ManualClock } from './clock'
export { type ContractFuzz, contractFuzz, type DeclaredRoute } from './contract-fuzz'
export type { DescribeFunction, TestFunction, TestOptions } from './declare'
export type { Door, Opened } from './door'
export { drizzlePostgres } from './drizzle-postgres'
export { drizzleSqlite } from './drizzle-sqlite'
export { expect } from './expect'
export { type Attempt, type IsolationSweep, isolationSweep, type Names } from './isolation-sweep'
export {
  closeRun,
  createKit,
  type FixturesOf,
  type Kit,
  type KitOptions,
  type World,
} from './kit'
export { Ledger, type LedgerRequest, type LedgerStatement } from './ledger'
export type { Allowed, Finding, Lint, LintOptions } from './lints'
export { OutgoingHttp } from './outgoing-http'
export { expectQueries, expectSameQueries } from './queries'
export { openRunDatabase, type RunDatabase } from './run-database'
export { outside } from './running'
export type { Dialect, IsolationLevel, TestIdentity } from './sandbox'
export type { Fc, OwnKind, OwnKinds, Schema } from './schema-values'
export { ScriptedModel, type Step } from './scripted-model'
export type { Served } from './serve'
