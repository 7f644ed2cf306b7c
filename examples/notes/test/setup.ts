import { afterAll } from 'bun:test'
import { openRunDatabase } from 'tenantry/testing'

export const run = await openRunDatabase()

afterAll(async () => {
  const { kit } = await import('./kit')
  await kit.close()
})
