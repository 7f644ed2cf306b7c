import { afterAll } from 'bun:test'
import { join } from 'node:path'
import { closeRun, openRunDatabase } from 'tenantry/testing'

export const run = await openRunDatabase({ madeFrom: [join(import.meta.dir, '../drizzle')] })

afterAll(() => closeRun(run))
