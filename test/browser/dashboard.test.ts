import { afterAll, afterEach, test as anyTest, describe, expect, setDefaultTimeout } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dialect } from '../../src/database/dialect'
import { chromiumPath } from './chromium'
import { closeStage, enter, giveToken, leave, readout, stage, table, tiles, visit } from './visitor'
import { script } from './world'

// They share a browser.
const test = anyTest.serial

// Starting a browser takes as long as the machine is busy.
setDefaultTimeout(60_000)
afterEach(leave)
afterAll(closeStage)

const reason =
  chromiumPath === undefined
    ? 'there is no Chromium. Install it, or set CHROMIUM to its path.'
    : dialect === 'postgres'
      ? 'on Postgres it reads the same API, whose figures are tested there, and a browser takes its time.'
      : undefined
if (reason !== undefined) console.warn(`The dashboard is not tested in a browser: ${reason}`)

const inBrowser = describe.skipIf(reason !== undefined)

inBrowser('The dashboard', () => {
  test('shows what the tenant used, to the unit', async () => {
    const { page } = await enter('admin')

    expect(await tiles(page)).toEqual([
      'Requests\n9\nby 2 users',
      'Errors\n5\n55.6% of requests',
      'Response time, p50\n20 ms\np95 1.49 s · p99 1.49 s',
      'Tokens\n42\n33 in · 9 out',
      'Messages\n6\nof users and models',
    ])
    expect(await table(page, 'Tokens by model')).toEqual([
      ['Model', 'Replies', 'Prompt', 'Completion', 'Total', 'Estimated'],
      ['large', '2', '22', '6', '28', '–'],
      [script('model'), '1', '11', '3', '14', '–'],
    ])
    expect(await table(page, 'Top routes')).toEqual([
      ['Route', 'Requests', 'Errors', 'p50', 'p95', 'p99'],
      [`GET ${script('route')}`, '4', '4 (100%)', '4 ms', '4 ms', '4 ms'],
      ['GET /api/v1/conversations', '3', '0', '20 ms', '20 ms', '20 ms'],
      ['POST /api/v1/chat', '2', '1 (50%)', '1.49 s', '1.49 s', '1.49 s'],
    ])
    expect(await table(page, 'Top users')).toEqual([
      ['User', 'Requests', 'Errors', 'Replies', 'Tokens'],
      ['olivia olivia@acme.example', '5', '1 (20%)', '3', '42'],
      [`${script('user')} ada@acme.example`, '4', '4 (100%)', '0', '0'],
    ])
  })

  test('has the numbers of each chart as a table, the newest day first', async () => {
    const { page } = await enter('admin', { path: '/dashboard?days=7' })

    for (const name of ['Requests', 'Response times', 'Tokens'])
      await page.getByText(`Numbers of each day: ${name}`).click()

    expect(await table(page, 'Requests per day')).toEqual([
      ['Day', 'Requests', 'Errors'],
      ['2 Mar 2026', '3', '0'],
      ['1 Mar 2026', '2', '1'],
      ...['28', '27', '26', '25', '24'].map((day) => [`${day} Feb 2026`, '0', '0']),
    ])
    expect((await table(page, 'Response times per day')).slice(0, 4)).toEqual([
      ['Day', 'p50', 'p95', 'p99'],
      ['2 Mar 2026', '20 ms', '20 ms', '20 ms'],
      ['1 Mar 2026', '1.49 s', '1.49 s', '1.49 s'],
      ['28 Feb 2026', '–', '–', '–'],
    ])
    expect((await table(page, 'Tokens per day')).slice(0, 3)).toEqual([
      ['Day', 'Total', 'Of them prompt'],
      ['2 Mar 2026', '42', '33'],
      ['1 Mar 2026', '0', '0'],
    ])
  })

  test('says the numbers of the day that the pointer is at', async () => {
    const { page } = await enter('admin', { path: '/dashboard?days=7' })
    const panel = page.getByRole('region', { name: 'Requests per day' })

    await panel.locator('.u-over').hover({ position: { x: 5, y: 20 } })
    const first = await readout(panel)
    await panel.getByRole('heading').hover()

    expect(first).toEqual(['24 Feb 2026', 'Requests 0', 'Errors 0'])
    expect(await readout(panel)).toEqual(['All days', 'Requests 5', 'Errors 1'])
  })

  test.each([['Pacific/Auckland'], ['America/Los_Angeles']])(
    'draws the same days for a reader in %s',
    async (timezoneId) => {
      const [here, there] = [await enter('admin'), await enter('admin', { timezoneId })]
      const plots = ({ page }: typeof here) =>
        page
          .locator('.plot canvas')
          .evaluateAll((all) => all.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()))

      const [drawnHere, drawnThere] = [await plots(here), await plots(there)]

      expect(drawnThere).toEqual(drawnHere)
      expect(new Set(drawnHere).size).toBe(3)
      expect(await there.page.getByLabel('To', { exact: true }).inputValue()).toBe('2026-03-02')
    },
  )

  test.each([
    ['7 days', '24 Feb 2026 to 2 Mar 2026 (7 days), UTC. 5 requests.', '?days=7', 'Requests\n5\nby 1 user'],
    ['90 days', '3 Dec 2025 to 2 Mar 2026 (90 days), UTC. 10 requests.', '?days=90', 'Requests\n10\nby 2 users'],
  ] as const)('shows the last %s when asked', async (name, status, address, requests) => {
    const { page } = await enter('admin')

    await page.getByRole('button', { name }).click()

    await page.getByText(status).waitFor()
    expect((await tiles(page))[0]).toBe(requests)
    expect(new URL(page.url()).search).toBe(address)
    expect(await page.getByRole('button', { name }).getAttribute('aria-pressed')).toBe('true')
    expect(await page.getByRole('button', { name: '30 days' }).getAttribute('aria-pressed')).toBe('false')
  })

  test('shows the days of a choice, and keeps them over a reload', async () => {
    const { page } = await enter('admin')

    await page.getByLabel('From', { exact: true }).fill('2026-02-05')
    await page.getByLabel('To', { exact: true }).fill('2026-03-01')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('5 Feb 2026 to 1 Mar 2026 (25 days), UTC. 6 requests.').waitFor()
    await page.reload()
    await page.getByText('5 Feb 2026 to 1 Mar 2026 (25 days), UTC. 6 requests.').waitFor()

    expect((await tiles(page)).slice(0, 2)).toEqual(['Requests\n6\nby 2 users', 'Errors\n5\n83.3% of requests'])
    expect(await page.getByLabel('From', { exact: true }).inputValue()).toBe('2026-02-05')
  })

  test.each([
    ['2026-03-02', '2026-03-01', 'The first day must not be after the last.'],
    ['2025-03-01', '2026-03-02', 'Choose at most 366 days.'],
    ['', '2026-03-02', 'Choose both days.'],
  ] as const)('does not ask for %s to %s', async (from, to, mistake) => {
    const { page, asked } = await enter('admin')
    const before = asked.length

    await page.getByLabel('From', { exact: true }).fill(from)
    await page.getByLabel('To', { exact: true }).fill(to)
    await page.getByRole('button', { name: 'Apply' }).click()

    expect(await page.getByRole('alert').textContent()).toBe(mistake)
    expect(asked.length).toBe(before)
    expect((await tiles(page))[0]).toBe('Requests\n9\nby 2 users')
  })

  test('says so where nothing happened', async () => {
    const { page } = await enter('admin', { path: '/dashboard?start_date=2025-01-01&end_date=2025-01-31' })

    expect(await page.getByRole('heading', { level: 2 }).allInnerTexts()).toEqual([
      'Nothing happened in these days',
      'Download',
    ])
  })

  test('shows the shape of what comes while it waits, and says that it does', async () => {
    const { page, url } = await visit()
    const { world } = await stage()
    const released = Promise.withResolvers<void>()
    await page.route(`${url}/api/v1/analytics/summary*`, (route) => released.promise.then(() => route.continue()))

    await giveToken(page, await world.tokenOf('admin'))
    await page.locator('.skeleton').waitFor()
    const waiting = await page.getByRole('status').textContent()
    released.resolve()
    await page.getByRole('region', { name: 'Download' }).waitFor()

    expect(waiting).toBe('Loading…')
    expect(await page.locator('.skeleton').count()).toBe(0)
  })

  test.each([
    [
      'CSV',
      'Day by day',
      'days-2026-03-01-to-2026-03-02.csv',
      /^date,total_requests,[^\n]*\r\n2026-03-01,2,1,0\.5,0,0,0,0,1,1500,[\d.,]*\r\n2026-03-02,3,0,0,42,33,9,6,1,20,[\d.,]*\r\n$/,
    ],
    [
      'CSV',
      'Day by day and route by route',
      'routes-2026-03-01-to-2026-03-02.csv',
      /^date,method,route,[^\n]*\r\n2026-03-01,POST,\/api\/v1\/chat,2,1,[\d.,]*\r\n2026-03-02,GET,\/api\/v1\/conversations,3,0,[\d.,]*\r\n$/,
    ],
    [
      'JSON',
      'Every request',
      'requests-2026-03-01-to-2026-03-02.json',
      /^\[(\{"id":"[^\n]*"duration_ms":(1500|20)\},?\n?){5}\]$/,
    ],
  ] as const)('downloads %s, %s, with the token in no address', async (format, rows, name, content) => {
    const { page, asked } = await enter('operator', { path: '/dashboard?start_date=2026-03-01&end_date=2026-03-02' })
    const downloading = page.waitForEvent('download')

    await page.getByLabel('What').selectOption(rows)
    await page.getByRole('button', { name: `Download ${format}` }).click()
    const download = await downloading
    const file = readFileSync(await download.path(), 'utf8')

    expect(download.suggestedFilename()).toBe(name)
    expect(file).toMatch(content)
    await page.getByText(`${name} was handed to your browser.`).waitFor()
    expect(asked.filter((address) => address.includes('eyJ'))).toEqual([])
  })
})

inBrowser('Whoever looks at the dashboard', () => {
  test('sees as a viewer neither users nor downloads, and why', async () => {
    const { page, asked } = await enter('viewer')

    expect(await page.getByText('The role viewer may not see who used what; admins may.').count()).toBe(1)
    expect(await page.getByText('The role viewer may not download; operators and admins may.').count()).toBe(1)
    expect(await page.getByRole('button', { name: /Download/ }).count()).toBe(0)
    expect(asked.filter((address) => address.includes('analytics/users'))).toEqual([])
    expect((await tiles(page))[0]).toBe('Requests\n9\nby 2 users')
  })

  test('may download as an operator, and not see users', async () => {
    const { page } = await enter('operator')

    expect(await page.getByText('The role operator may not see who used what; admins may.').count()).toBe(1)
    expect(await page.getByRole('button', { name: /Download/ }).count()).toBe(2)
  })

  test('is asked again for a token that is not accepted', async () => {
    const { page } = await visit()

    await giveToken(page, 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl')
    const said = await page.getByRole('alert').textContent()

    expect(said).toBe('The token is not valid, or not any more; get a new one.')
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
    expect(await page.getByLabel('Access token').evaluate((field) => field === document.activeElement)).toBe(true)
    expect(await page.getByLabel('Access token').inputValue()).toBe('')
  })

  test.each([
    ['', 'Paste a token first.'],
    ['two words', 'This is not a token: it has characters that none has.'],
  ] as const)('is told without a request that "%s" is no token', async (pasted, mistake) => {
    const { page, asked } = await visit()

    await giveToken(page, pasted)

    expect(await page.getByRole('alert').textContent()).toBe(mistake)
    expect(asked.filter((address) => address.includes('/api/'))).toEqual([])
  })

  test('is told why when the server knows and refuses them', async () => {
    const { page, url } = await visit()
    const { world } = await stage()
    const stranger = await world.tokenOf('viewer', 'nobody')

    await giveToken(page, stranger)
    const said = await page.getByRole('alert').textContent()

    expect(said).toStartWith('You may not see this')
    expect(await page.getByRole('alert').locator('p').textContent()).toBe(await detailOf(url, stranger))
    expect(await page.getByRole('region', { name: 'Download' }).count()).toBe(0)
  })

  test('can try again when the server could not be reached', async () => {
    const { page } = await enter('admin')

    await page.context().setOffline(true)
    await page.getByRole('button', { name: 'Refresh' }).click()
    const said = await page.getByRole('alert').textContent()
    await page.context().setOffline(false)
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('region', { name: 'Download' }).waitFor()

    expect(said).toContain('The server cannot be reached. Is it running, and are you connected?')
    expect((await tiles(page))[0]).toBe('Requests\n9\nby 2 users')
  })

  test('stays signed in over a reload, and in this tab only until the token is forgotten', async () => {
    const { page, url } = await enter('admin')
    await page.reload()
    await page.getByRole('region', { name: 'Download' }).waitFor()
    const elsewhere = await page.context().newPage()
    await elsewhere.goto(`${url}/dashboard`)

    await page.getByRole('button', { name: 'Forget token' }).click()
    await page.getByLabel('Access token').waitFor()

    expect(await elsewhere.getByLabel('Access token').count()).toBe(1)
    expect(await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie])).toEqual([0, 0, ''])
    expect(await page.content()).not.toContain('eyJ')
  })
})

inBrowser('The page of the dashboard', () => {
  test('asks only where it came from, and the console has nothing to say', async () => {
    const { page, url, asked, complaints } = await enter('admin')
    await page.getByRole('button', { name: '90 days' }).click()
    await page.getByText('10 requests.').waitFor()

    const paths = asked.map((address) => address.replace(/\?.*/, '')).sort()

    const figures = ['daily', 'models', 'routes', 'summary', 'users'].map((name) => `${url}/api/v1/analytics/${name}`)
    const once = [...figures, `${url}/api/v1/me`]
    expect(paths).toEqual(
      [...once, ...once, ...['', '/page.css', '/page.js'].map((part) => `${url}/dashboard${part}`)].sort(),
    )
    expect(complaints).toEqual([])
  })

  test('shows script as text, wherever a name stands', async () => {
    const { page, dialogs, complaints } = await enter('admin')

    const text = await page.locator('body').textContent()

    for (const name of ['tenant', 'model', 'route', 'user']) expect(text).toContain(script(name))
    expect(await page.locator('script').count()).toBe(1)
    expect({ dialogs, complaints }).toEqual({ dialogs: [], complaints: [] })
  })

  test('runs no script that was put into it, and makes no HTML of text', async () => {
    const { page, complaints } = await enter('admin')

    const outcome = await page.evaluate(() => {
      const planted = document.createElement('div')
      const attempt = (work: () => void) => {
        try {
          work()
          return 'done'
        } catch (error) {
          return error instanceof Error ? error.name : 'thrown'
        }
      }
      const asHtml = attempt(() => {
        planted.innerHTML = '<b>bold</b>'
      })
      const asScript = attempt(() => {
        const element = document.createElement('script')
        element.append('document.title = "taken over"')
        document.body.append(element)
      })
      return { asHtml, asScript, title: document.title }
    })

    expect(outcome).toMatchObject({ asHtml: 'TypeError', title: 'Tenantry dashboard' })
    expect(complaints.join()).toContain('TrustedScript')
  })

  test.each([['light'], ['dark']] as const)(
    'can be read in the %s scheme: every text has a contrast of 4.5',
    async (colorScheme) => {
      const { page } = await enter('admin', { colorScheme })
      for (const name of ['Requests', 'Response times', 'Tokens'])
        await page.getByText(`Numbers of each day: ${name}`).click()

      const { ground, texts } = await page.evaluate(contrasts)

      expect(ground).toBe(colorScheme === 'dark' ? 'rgb(13, 16, 21)' : 'rgb(244, 245, 247)')
      expect(texts.length).toBeGreaterThan(100)
      expect(texts.filter(({ contrast }) => contrast < 4.5)).toEqual([])
    },
  )

  test('follows the scheme while it is open', async () => {
    const { page } = await enter('admin')
    const ink = () => page.evaluate(() => getComputedStyle(document.body).color)
    const before = await ink()

    await page.emulateMedia({ colorScheme: 'dark' })

    expect([before, await ink()]).toEqual(['rgb(23, 28, 38)', 'rgb(231, 234, 240)'])
    expect(await page.locator('.plot canvas').count()).toBe(3)
  })

  test.each([[320], [768], [1600]])('needs no scrolling to the side at %d pixels', async (width) => {
    const { page } = await enter('admin', { width })

    const inner = await page.evaluate(() => document.documentElement.scrollWidth)

    expect(inner).toBe(width)
  })

  test('can be used with the keyboard alone', async () => {
    const { page } = await visit()
    const { world } = await stage()
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement
        const isField = element instanceof HTMLInputElement || element instanceof HTMLSelectElement
        const label = isField ? element.labels?.[0]?.firstChild?.textContent : undefined
        return label ?? element?.getAttribute('aria-label') ?? element?.textContent ?? ''
      })

    const first = await focused()
    await page.keyboard.insertText(await world.tokenOf('admin'))
    await page.keyboard.press('Enter')
    await page.getByRole('region', { name: 'Download' }).waitFor()
    const arrived = await focused()
    const way: string[] = []
    while (way.at(-1) !== 'Download JSON' && way.length < 60) {
      await page.keyboard.press('Tab')
      const name = await focused()
      if (name !== way.at(-1)) way.push(name)
    }
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)
    for (let steps = 0; (await focused()) !== '7 days' && steps < 60; steps++) await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Space')
    await page.getByText('(7 days), UTC. 5 requests.').waitFor()

    expect([first, arrived, outline]).toEqual(['Access token', 'Usage', 'solid'])
    expect(way).toEqual([
      ...['7 days', '30 days', '90 days', 'From', 'To', 'Apply', 'Refresh'],
      ...['Requests', 'Response times', 'Tokens'].map((name) => `Numbers of each day: ${name}`),
      ...['Tokens by model', 'Top routes', 'Top users'],
      ...['What', 'Download CSV', 'Download JSON'],
    ])
  })

  test('has landmarks, headings, names and captions for those who hear it', async () => {
    const { page } = await enter('admin')

    const count = (selector: string) => page.locator(selector).count()
    const regions = await page
      .getByRole('region')
      .evaluateAll((all) => all.map((region) => region.getAttribute('aria-labelledby')).filter(Boolean))

    expect(await page.locator('html').getAttribute('lang')).toBe('en')
    expect([await count('header'), await count('main'), await count('h1')]).toEqual([1, 1, 1])
    expect(regions).toEqual([
      'requests-per-day',
      'response-times-per-day',
      'tokens-per-day',
      'tokens-by-model',
      'top-routes',
      'top-users',
      'downloads',
    ])
    expect(
      await page.getByRole('img').evaluateAll((all) => all.map((image) => image.getAttribute('aria-label'))),
    ).toEqual([
      'Requests on 30 days: Requests 9, Errors 5. The numbers of each day follow as a table.',
      'Response times on 30 days: p50 20 ms, p95 1.49 s, p99 1.49 s. The numbers of each day follow as a table.',
      'Tokens on 30 days: Total 42, Of them prompt 33. The numbers of each day follow as a table.',
    ])
    expect(
      await page
        .locator('input, select')
        .evaluateAll(
          (all) => all.filter((field) => !('labels' in field && (field as HTMLInputElement).labels?.length)).length,
        ),
    ).toBe(0)
    expect([await count('table'), await count('table > caption')]).toEqual([6, 6])
    expect(await page.getByRole('status').first().textContent()).toBe(
      '1 Feb 2026 to 2 Mar 2026 (30 days), UTC. 9 requests.',
    )
  })
})

async function detailOf(url: string, token: string): Promise<string> {
  const response = await fetch(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
  return (await response.json()).detail
}

/** Of every text that is seen, against the nearest ground behind it (WCAG 2.2, 1.4.3). Runs in the page. */
function contrasts() {
  const numbers = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = numbers(colour).map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const groundOf = (element: Element | null): string => {
    if (!element) return 'rgb(255, 255, 255)'
    const { backgroundColor } = getComputedStyle(element)
    return numbers(backgroundColor)[3] === 0 ? groundOf(element.parentElement) : backgroundColor
  }
  const texts = [...document.querySelectorAll('body *')]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()))
    .filter((element) => element.checkVisibility())
    .map((element) => {
      const [one, other] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))]
      return {
        text: element.textContent?.slice(0, 30),
        contrast: (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05),
      }
    })
  return { ground: getComputedStyle(document.body).backgroundColor, texts }
}
