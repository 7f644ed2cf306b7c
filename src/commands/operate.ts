import { readAddresses, readEncryptionKeys, readExportDir } from '../config'
import { systemClock } from '../ids'
import { type Command, Mismatch, tenantId, UsageError, unhurried, withConnection, withDatabase } from './command'

export const operateCommands: Record<string, Command> = {
  'keys rotate': {
    about: 'Seal with ENCRYPTION_KEY what ENCRYPTION_KEY_PREVIOUS sealed. May run beside servers that have both.',
    options: {},
    run: async () => {
      const { encryptionKey: current, encryptionKeyPrevious: previous } = readEncryptionKeys(process.env)
      if (current === undefined) throw new UsageError('ENCRYPTION_KEY is not set; set it to the key that is to seal')
      const [{ rotateKeys }, { buildSealer }] = await Promise.all([import('../plugins/keys'), import('../sealing')])
      const { sealed, unopened } = await withDatabase((database) =>
        rotateKeys(database, buildSealer({ current, previous })),
      )
      const done = `Sealed the secrets of ${sealed} ${sealed === 1 ? 'plugin' : 'plugins'} anew`
      if (unopened > 0)
        throw new UsageError(
          `${done}, and could not open those of ${unopened}; set ENCRYPTION_KEY_PREVIOUS to the key that sealed them`,
        )
      return `${done}; nothing needs another key any longer.`
    },
  },
  backup: {
    about: 'Copy the whole database to a new file, while servers run. Not brought up to date before.',
    options: {},
    word: 'file',
    run: async ({ file }) =>
      (await import('../operations/backup')).backup(readAddresses(process.env).databaseUrl, String(file)),
  },
  'tenant export': {
    about: 'Write one tenant to a new file, while servers run.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      to: { type: 'string', help: 'file, which is not there yet', required: true },
      'without-secrets': {
        type: 'boolean',
        help: 'leave out the secrets of plugins, which are sealed, and disable them',
      },
    },
    run: async (given) => {
      const { exportTenant } = await import('../operations/export-tenant')
      const [slug, file] = [String(given.tenant), String(given.to)]
      const leaveSecrets = given['without-secrets'] === true
      return await withConnection((connection) => exportTenant(connection, systemClock, { slug, file, leaveSecrets }))
    },
  },
  'tenant import': {
    about: 'Make a tenant of a file that export wrote, on whichever database.',
    options: {
      from: { type: 'string', help: 'the file', required: true },
      slug: { type: 'string', help: 'another slug than it had' },
      'without-secrets': { type: 'boolean', help: 'leave out the secrets of plugins, and disable those' },
    },
    run: async ({ from, slug, 'without-secrets': without }) => {
      const { encryptionKey: current, encryptionKeyPrevious: previous } = readEncryptionKeys(process.env)
      const [{ importTenant }, { buildSealer }] = await Promise.all([
        import('../operations/import-tenant'),
        import('../sealing'),
      ])
      const importing = {
        file: String(from),
        slug: slug === undefined ? undefined : String(slug),
        leaveSecrets: without === true,
        sealer: buildSealer({ current, previous }),
      }
      return await withDatabase((database) => importTenant(database, importing))
    },
  },
  'tenant erase': {
    about: 'Remove a tenant with all its rows and files, and count what is left. Cannot be undone.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      yes: { type: 'string', help: 'the same slug again', required: true },
      vacuum: { type: 'boolean', help: 'rewrite the database, so that its files have nothing of it either' },
    },
    run: async ({ tenant, yes, vacuum }) => {
      if (tenant !== yes) throw new UsageError('--yes is not the slug in --tenant; nothing was erased')
      const { eraseTenant } = await import('../operations/erase-tenant')
      const { migrationDatabaseUrl } = readAddresses(process.env)
      const ownerUrl = migrationDatabaseUrl && unhurried(migrationDatabaseUrl)
      const exportDir = readExportDir(process.env)
      const erasing = { slug: String(tenant), exportDir, vacuum: vacuum === true, ownerUrl }
      return await withConnection((connection) => eraseTenant(connection, erasing))
    },
  },
  demo: {
    about: 'Fill an empty database with two tenants, four users, conversations and a month of usage.',
    options: {},
    run: async () => {
      const { fillDemo } = await import('../demo')
      const summary = await withDatabase((database) => fillDemo(database, systemClock))
      if (summary === undefined) throw new UsageError('the database has tenants already; demo only fills an empty one')
      return summary
    },
  },
  'analytics verify': {
    about: 'Add up all request and usage records again, and compare the sums with what analytics show.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant; all of them, if not given' },
      repair: { type: 'boolean', help: 'write the sums over what differs' },
    },
    run: async ({ tenant, repair }) => {
      const { inWords, repairRollups, tenantsToVerify, verifyRollups } = await import('../analytics/verify')
      return await withDatabase(async (database) => {
        if (tenant !== undefined) await tenantId(database, String(tenant))
        const all = await tenantsToVerify(database)
        const lines: string[] = []
        for (const { id, slug } of all.filter((each) => tenant === undefined || each.slug === tenant)) {
          const found = await verifyRollups(database, id)
          if (found.length > 0 && repair) await repairRollups(database, id)
          lines.push(...found.map((difference) => `${slug} ${inWords(difference)}`))
        }
        if (lines.length === 0) return 'The rollups agree with the records.'
        if (!repair) throw new Mismatch(lines)
        return [...lines, 'Repaired: these say now what was counted.'].join('\n')
      })
    },
  },
}
