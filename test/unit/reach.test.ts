import { describe, expect, test } from 'bun:test'
import { acrossTenants, admitTenant, asNobody, asTenant, currentReach } from '../../src/database/reach'

const [tenantA, tenantB] = ['019cacd5-0000-7000-8000-00000000000a', '019cacd5-0000-7000-8000-00000000000b']

describe('Whose rows code reaches', () => {
  test("is nobody's until somebody says", async () => {
    const said = [currentReach(), await asTenant(tenantA, async () => currentReach()), currentReach()]

    expect(said).toEqual(['', tenantA, ''])
  })

  test("is everybody's where a reason is given", async () => {
    expect(await acrossTenants('a test sees everything', async () => currentReach())).toBe('all')
  })

  test("is never everybody's without a reason", () => {
    expect(() => acrossTenants('', async () => currentReach())).toThrow('Reaching across tenants needs a reason.')
  })

  test.each(['all', '', `${tenantA}' or true`])("is no tenant's of the name %p", (name) => {
    expect(() => asTenant(name, async () => currentReach())).toThrow('A tenant is named by its id.')
  })
})

describe('A request', () => {
  test('belongs to the tenant that it was admitted for, and stays with it', async () => {
    const reached = await asNobody(async () => {
      const before = currentReach()
      admitTenant(tenantA)
      admitTenant(tenantA)
      await Promise.resolve()
      return [before, currentReach()]
    })

    expect(reached).toEqual(['', tenantA])
  })

  test('does not go over to another tenant', () => {
    const refused = asNobody(() => {
      admitTenant(tenantA)
      try {
        admitTenant(tenantB)
      } catch (error) {
        return [String(error), currentReach()]
      }
      return []
    })

    expect(refused).toEqual(['Error: The request is of another tenant already.', tenantA])
  })

  test('has to run for a tenant to be admitted to it', () => {
    expect(() => admitTenant(tenantA)).toThrow('A tenant is admitted to a request, and none is running.')
  })
})
