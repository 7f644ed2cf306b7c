import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeProvider } from '../test/fake-provider'
import { mailServer } from '../test/integration/mail-server'
import { takeSteps } from './image-steps'

/**
 * Builds what the image holds, without an engine, and tries it from an empty folder with the repository out of reach:
 * commands, start, pages, a chat, what is loaded late (webhook, mail, client of a provider), health, SIGTERM.
 */
const folder = mkdtempSync(join(tmpdir(), 'tenantry-image-'))
const secrets = {
  JWT_SECRET: Buffer.from(crypto.getRandomValues(new Uint8Array(48))).toString('base64'),
  ENCRYPTION_KEY: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64'),
}
/** The pages there are; all that they name is asked for too. */
const pages = ['/openapi', '/dashboard']

const late = setTimeout(() => {
  console.error('image: what was to happen has not happened within three minutes')
  process.exit(1)
}, 180_000)

try {
  const builtAt = performance.now()
  const image = takeSteps(join(import.meta.dir, '..'), folder)
  const [program = ''] = image.entrypoint
  say(`built in ${seconds(builtAt)}, ${(statSync(program).size / 1e6).toFixed(1)} MB`)

  await using provider = new FakeProvider()
  await using mail = await mailServer()
  const posted = Promise.withResolvers<Headers>()
  using receiver = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      posted.resolve(request.headers)
      return new Response()
    },
  })

  const env = { ...image.env, ...secrets, HOST: '127.0.0.1', PORT: '0', EGRESS_ALLOW: '127.0.0.1' }
  const command = (...words: string[]) => run([program, ...words], env, image.workdir)
  const { err } = await command('serve', '--no-migrate')
  same('a start that may not migrate, on an empty folder', /^tenantry: The database lacks \d+ /.test(err), true)
  same('migrate', await command('migrate'), { code: 0, out: 'The database is up to date.\n', err: '' })
  await command('tenant', 'create', '--name=Acme', '--slug=acme')
  await command('user', 'create', '--tenant=acme', '--external-id=ada', '--email=ada@acme.example', '--role=admin')
  const token = (await command('token', '--tenant=acme', '--user=ada')).out.trim()

  {
    const startedAt = performance.now()
    await using served = await serve([program, ...image.command, '--no-migrate'], env, image.workdir)
    same('ready', (await fetch(`${served.url}/health/ready`)).status, 200)
    say(`ready after ${(performance.now() - startedAt).toFixed(0)} ms`)

    for (const page of pages) await tryPage(served.url, page)
    const events = ['reply.completed']
    await post(served.url, token, 'plugins/webhook/enable', { config: { url: receiver.url.href, events } })
    await post(served.url, token, 'plugins/email_notifications/enable', {
      config: {
        ...{ smtp_host: '127.0.0.1', smtp_port: mail.port, security: 'none', from_email: 'tenantry@acme.example' },
        ...{ to: ['ada@acme.example'], events },
      },
    })
    await post(served.url, token, 'plugins/moderation/enable', { config: { patterns: ['b(a|o)d$'], action: 'refuse' } })
    const { response } = await post(served.url, token, 'chat', { message: 'Hello' })
    same('a chat with the echo model', String(response).split('\n')[0], 'You said: Hello')
    same('a webhook, signed', (await posted.promise).get('webhook-signature')?.slice(0, 3), 'v1,')
    while (mail.arrived.length === 0) await Bun.sleep(10)
    same('a mail', mail.arrived[0]?.to, ['ada@acme.example'])

    const check = () => run(image.healthcheck, { ...env, PORT: new URL(served.url).port }, image.workdir)
    same('the health check beside the server', await check(), { code: 0, out: 'ready\n', err: '' })
    served.kill('SIGTERM')
    same('the exit code after SIGTERM', await served.exited, 0)
    same('the health check without it', (await check()).code, 1)
  }

  const models = { PROVIDER_BASE_URL: provider.url, PROVIDER_MODEL: 'small-model' }
  await using served = await serve([program, ...image.command], { ...env, ...models }, image.workdir)
  const { response } = await post(served.url, token, 'chat', { message: 'Hello' })
  same('a chat with a model', response, 'You asked: Hello')
} finally {
  clearTimeout(late)
  rmSync(folder, { recursive: true, force: true })
}

function say(text: string): void {
  console.log(`image: ${text}`)
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}

function same(what: string, found: unknown, wanted: unknown): void {
  if (!Bun.deepEquals(found, wanted)) throw new Error(`${what}: ${Bun.inspect(found)}, not ${Bun.inspect(wanted)}`)
  say(`${what}: well`)
}

async function run(words: readonly string[], env: Record<string, string>, cwd: string) {
  const child = Bun.spawn([...words], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

/** Started and listening; killed when it is disposed of. Its log stays in a file, which is shown when it ends early. */
async function serve(words: readonly string[], env: Record<string, string>, cwd: string) {
  const log = Bun.file(join(folder, 'log'))
  await Bun.write(log, '')
  const child = Bun.spawn([...words], { env, cwd, stdio: ['ignore', 'ignore', log], timeout: 60_000 })
  let url: string | undefined
  while (url === undefined) {
    if (child.exitCode !== null) throw new Error(`The server ended:\n${await log.text()}`)
    await Bun.sleep(2)
    url = /"Tenantry listens\.","url":"([^"]+)"/.exec(await log.text())?.[1]
  }
  return {
    url,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

async function post(url: string, token: string, path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Record<string, unknown>
}

/** The page, and every file of ours that it names, which is built into the program. */
async function tryPage(url: string, page: string): Promise<void> {
  const html = await (await fetch(url + page)).text()
  const files = [...html.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, file = '']) => file)
  const sizes = await Promise.all(
    [page, ...files].map(async (file) => {
      const answer = await fetch(url + file)
      return answer.ok ? (await answer.bytes()).length : 0
    }),
  )
  same(`${page} and its ${files.length} files`, [files.length > 0, sizes.includes(0)], [true, false])
}
