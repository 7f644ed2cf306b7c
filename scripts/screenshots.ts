import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromiumPath, openBrowser } from '../test/browser/chromium'

/** Takes the pictures in docs/images of the dashboard with the demo data. Needs Chromium; changes nothing else. */
const cli = join(import.meta.dir, '../src/cli.ts')
const images = join(import.meta.dir, '../docs/images')
const pictures = [
  { name: 'dashboard-light', colorScheme: 'light', width: 1280, height: 1200 },
  { name: 'dashboard-dark', colorScheme: 'dark', width: 1280, height: 1200 },
  { name: 'dashboard-narrow', colorScheme: 'light', width: 390, height: 900 },
] as const

const folder = mkdtempSync(join(tmpdir(), 'tenantry-pictures-'))
const env = {
  JWT_SECRET: Buffer.from(crypto.getRandomValues(new Uint8Array(48))).toString('base64'),
  DATABASE_URL: `sqlite:${join(folder, 'demo.db')}`,
  PORT: '0',
}
const run = (...args: string[]) => Bun.spawn([process.execPath, cli, ...args], { env, stderr: 'pipe', stdout: 'pipe' })
const said = async (...args: string[]) => (await new Response(run(...args).stdout).text()).trim()

await said('demo')
const token = await said('token', '--tenant', 'acme', '--user', 'ada')
const server = run('serve')
try {
  const url = await addressIn(server.stderr)
  if (chromiumPath === undefined) throw new Error('There is no Chromium here: install it, or set CHROMIUM to its path.')
  const browser = await openBrowser(chromiumPath)
  try {
    mkdirSync(images, { recursive: true })
    const page = await browser.newPage({ viewport: pictures[0] })
    await page.goto(`${url}/dashboard`)
    await page.getByLabel('Access token').fill(token)
    await page.getByRole('button', { name: 'Show the dashboard' }).click()
    await page.getByRole('region', { name: 'Download' }).waitFor()
    // One visit for all: what the page asks for is counted as well, and would be in the next picture.
    for (const { name, colorScheme, width, height } of pictures) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height })
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))))
      await page.screenshot({ path: join(images, `${name}.png`) })
    }
  } finally {
    await browser.close()
  }
} finally {
  server.kill()
  await server.exited
  rmSync(folder, { recursive: true, force: true })
}

async function addressIn(log: ReadableStream<Uint8Array>): Promise<string> {
  let text = ''
  for await (const bytes of log) {
    text += new TextDecoder().decode(bytes)
    const url = /"url":"(http:[^"]+)"/.exec(text)?.[1]
    if (url !== undefined) return url
  }
  throw new Error(`The server ended before it listened:\n${text}`)
}
