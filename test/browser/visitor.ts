import type { Browser, Locator, Page } from 'playwright-core'
import type { Role } from '../../src/auth/policy'
import { chromiumPath, openBrowser } from './chromium'
import { now, openWorld, type World } from './world'

let opened: Promise<{ browser: Browser; world: World }> | undefined

/** One browser and one service for all tests of a file; each has a profile of its own, and changes nothing that another sees. */
export function stage(): Promise<{ browser: Browser; world: World }> {
  opened ??= Promise.all([openBrowser(chromiumPath ?? ''), openWorld()]).then(([browser, world]) => ({
    browser,
    world,
  }))
  return opened
}

/** With --rerun-each the next run opens another. */
export async function closeStage(): Promise<void> {
  const stage = await opened
  opened = undefined
  if (!stage) return
  const { browser, world } = stage
  await browser.close()
  await world.service[Symbol.asyncDispose]()
}

/** Closes the profiles of all visitors, with their pages. */
export async function leave(): Promise<void> {
  const { browser } = (await opened) ?? {}
  for (const context of browser?.contexts() ?? []) await context.close()
}

type Visiting = { colorScheme?: 'light' | 'dark'; width?: number; path?: string; timezoneId?: string }
export type Visitor = { page: Page; url: string; asked: string[]; complaints: string[]; dialogs: string[] }

/** On the page, before a token; believes that it is `now`. */
export async function visit({
  colorScheme = 'light',
  width = 1280,
  path = '/dashboard',
  timezoneId = 'UTC',
}: Visiting = {}): Promise<Visitor> {
  const { browser, world } = await stage()
  const context = await browser.newContext({ colorScheme, timezoneId, viewport: { width, height: 900 } })
  const page = await context.newPage()
  await page.clock.setFixedTime(now)
  const [asked, complaints, dialogs]: [string[], string[], string[]] = [[], [], []]
  page.on('request', (request) => asked.push(request.url()))
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('dialog', (dialog) => {
    dialogs.push(dialog.message())
    void dialog.dismiss()
  })
  await page.goto(`${world.url}${path}`)
  return { page, url: world.url, asked, complaints, dialogs }
}

/** The same, once it shows figures. */
export async function enter(role: Role, visiting: Visiting = {}): Promise<Visitor> {
  const visitor = await visit(visiting)
  const { world } = await stage()
  await giveToken(visitor.page, await world.tokenOf(role))
  await visitor.page.getByRole('region', { name: 'Download' }).waitFor()
  return visitor
}

export async function giveToken(page: Page, token: string): Promise<void> {
  await page.getByLabel('Access token').fill(token)
  await page.getByRole('button', { name: 'Show the dashboard' }).click()
}

/** Name, value and what is said under it, of each of the figures on top. */
export const tiles = (page: Page): Promise<string[]> => page.locator('.tiles > div').allInnerTexts()

/** A table by its caption, row by row, the head first. */
export const table = (page: Page, caption: string): Promise<string[][]> =>
  page
    .getByRole('table', { name: caption })
    .locator('tr')
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent ?? '')))

/** Day and numbers above a chart. */
export const readout = (panel: Locator): Promise<string[]> => panel.locator('.readout > span').allInnerTexts()
