/**
 * The service twice in one process, with and without the hook and the recorder, on the database that is named;
 * analytics.ts starts it. The address it prints says where the two are, and writes what was recorded when it is POSTed to.
 */
const [url = ''] = process.argv.slice(2)
// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
process.env.DATABASE_URL = url
const { Recorder, recorderLimits } = await import('../src/analytics/recorder')
const { connect } = await import('../src/database/database')
const { lineReporter } = await import('../src/reporter')
const { appOn } = await import('./support/sized')

const connection = connect(url)
const recorder = new Recorder(connection.database, lineReporter('warn', 'json'), {
  ...recorderLimits,
  everyMs: 0,
  most: Number.POSITIVE_INFINITY, // a round of a fast machine is more than the service keeps waiting
})
const listen = (app: ReturnType<typeof appOn>) => app.listen({ port: 0, hostname: '127.0.0.1' }).server?.url.origin
const origins = { without: listen(appOn(connection)), with: listen(appOn(connection, [recorder.record])) }

const control = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch({ method }) {
    if (method !== 'POST') return Response.json(origins)
    const written = recorder.waiting
    const startedAt = performance.now()
    await recorder.flush()
    return Response.json({ written, ms: performance.now() - startedAt })
  },
})
console.error(control.url.origin)

export {}
