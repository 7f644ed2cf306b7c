import { describe, expect, test } from 'bun:test'
import { openEgress } from '../../../src/egress/open'
import { names, outcome } from './peers'

const { resolve } = names({
  'hooks.internal': [['10.0.0.5']],
  'a.hooks.internal': [['10.0.0.5']],
  'both.internal': [['10.0.0.5', 'fd00::5']],
  'metadata.internal': [['169.254.169.254']],
  'public.example': [['93.184.215.14']],
})
const goingTo = (allow: string[], url: string) =>
  openEgress({ allow, resolve, send: async () => new Response('ok') })
    .fetch(url)
    .then(
      () => 'gone to',
      (error) => error.kind as string,
    )

describe('EGRESS_ALLOW', () => {
  const rows: [entry: string, url: string, result: 'gone to' | 'refused'][] = [
    ['10.0.0.5', 'http://10.0.0.5/', 'gone to'],
    ['10.0.0.5', 'http://10.0.0.6/', 'refused'],
    ['10.0.0.5', 'http://hooks.internal:8080/', 'gone to'],
    ['10.0.0.5:8080', 'http://hooks.internal:8080/', 'gone to'],
    ['10.0.0.5:8080', 'http://hooks.internal/', 'refused'],
    ['10.0.0.5:80', 'http://hooks.internal/', 'gone to'],
    ['10.0.0.5:443', 'https://hooks.internal/', 'gone to'],
    ['10.0.0.5:80', 'https://hooks.internal/', 'refused'],
    ['10.0.0.0/8', 'http://10.255.255.255/', 'gone to'],
    ['10.0.0.0/8', 'http://11.0.0.1/', 'gone to'],
    ['10.0.0.0/8', 'http://172.16.0.1/', 'refused'],
    ['10.0.0.0/8:80', 'http://10.1.1.1:81/', 'refused'],
    ['10.0.0.0/8', 'http://[::ffff:a00:5]/', 'refused'],
    ['10.0.0.0/8', 'http://both.internal/', 'refused'],
    ['10.0.0.0/30', 'http://10.0.0.4/', 'refused'],
    ['0.0.0.0/0', 'http://169.254.169.254/', 'gone to'],
    ['0.0.0.0/0', 'http://[::1]/', 'refused'],
    ['::1', 'http://[::1]:3000/', 'gone to'],
    ['[::1]:3000', 'http://[::1]:3000/', 'gone to'],
    ['[::1]:3000', 'http://[::1]:3001/', 'refused'],
    ['[::1]', 'http://[::1]:3001/', 'gone to'],
    ['fd00::/8', 'http://[fd12::1]/', 'gone to'],
    ['fd00::/8', 'http://[fe80::1]/', 'refused'],
    ['[fd00::/8]:443', 'https://[fd12::1]/', 'gone to'],
    ['[fd00::/8]:443', 'http://[fd12::1]/', 'refused'],
    ['hooks.internal', 'http://hooks.internal/', 'gone to'],
    ['Hooks.Internal', 'http://hooks.internal:9/', 'gone to'],
    ['hooks.internal', 'http://a.hooks.internal/', 'refused'],
    ['hooks.internal', 'http://10.0.0.5/', 'refused'],
    ['hooks.internal:443', 'https://hooks.internal/', 'gone to'],
    ['hooks.internal:443', 'https://hooks.internal:8443/', 'refused'],
    ['metadata.internal', 'http://metadata.internal/', 'gone to'],
    ['public.example:443', 'http://public.example/', 'gone to'],
  ]
  test.each(rows)('of %s: %s is %s', async (entry, url, result) => {
    const results = [await goingTo([entry], url), await goingTo(['192.0.2.1', entry, 'other.internal'], url)]

    expect(results).toEqual([result, result])
  })

  test('is a mistake of the one who calls where an entry cannot be read', () => {
    const opening = () => openEgress({ allow: ['10.0.0.0/8', 'http://hooks.internal'] })

    expect(opening).toThrow('An entry of the list of allowed destinations is no host, address or block.')
  })
})

describe('An address for another protocol', () => {
  const egress = openEgress({ allow: ['hooks.internal:25', '127.0.0.1:1025'], resolve })
  const rows: [string, number, unknown][] = [
    ['public.example', 25, '93.184.215.14'],
    ['Public.Example', 587, '93.184.215.14'],
    ['8.8.8.8', 25, '8.8.8.8'],
    ['2606:4700:4700::1111', 25, '2606:4700:4700::1111'],
    ['hooks.internal', 25, '10.0.0.5'],
    ['127.0.0.1', 1025, '127.0.0.1'],
    ['hooks.internal', 26, 'refused'],
    ['127.0.0.1', 25, 'refused'],
    ['both.internal', 25, 'refused'],
    ['::1', 25, 'refused'],
    ['::ffff:127.0.0.1', 25, 'refused'],
    ['2130706433', 25, 'refused'],
    ['0x7f.1', 25, 'refused'],
    ['127.1', 25, 'refused'],
    ['fe80::1%eth0', 25, 'refused'],
    ['hooks.internal.', 25, 'refused'],
    ['hooks.internal\n', 25, 'refused'],
    ['public.example:25', 25, 'refused'],
    ['user@public.example', 25, 'refused'],
    ['public.example/', 25, 'refused'],
    ['', 25, 'refused'],
    ['nobody.example', 25, 'failed'],
  ]
  test.each(rows)('of %j, port %i, is %s', async (hostname, port, expected) => {
    const result = await outcome(egress.resolve(hostname, port))

    expect(result).toEqual(
      expected === 'refused' || expected === 'failed' ? { kind: expected, message: expect.any(String) } : expected,
    )
  })
})
