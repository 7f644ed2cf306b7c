import type { Observer } from '../src/analytics/hook'

/** The service on a database, with requests recorded or not: `recorded.ts <url> with|without`. analytics.ts starts both. */
const [url = '', how] = process.argv.slice(2)

// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
process.env.DATABASE_URL = url
const { Recorder } = await import('../src/analytics/recorder')
const { connect } = await import('../src/database/database')
const { lineReporter } = await import('../src/reporter')
const { appOn } = await import('./support/sized')

const connection = connect(url)
const recorder = new Recorder(connection.database, lineReporter('warn', 'json'))
const observers: Observer[] = how === 'with' ? [recorder.record] : []
const app = appOn(connection, observers)
app.listen({ port: 0, hostname: '127.0.0.1' })
console.error(app.server?.url.origin)
