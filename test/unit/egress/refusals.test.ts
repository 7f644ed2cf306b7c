import { describe, expect, test } from 'bun:test'
import { directly } from '../../../src/egress/connect'
import { openEgress } from '../../../src/egress/open'
import { listening, names, outcome } from './peers'

const notPublic = (host: string) => ({
  kind: 'refused',
  message: `${host} leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.`,
})
const unusual = {
  kind: 'refused',
  message:
    'The URL is written in an unusual way: it takes a host in ASCII (xn--... for others) or a plain address, and no backslash.',
}
const unreadable = { kind: 'refused', message: 'The URL cannot be read.' }
const otherScheme = { kind: 'refused', message: 'Only http and https URLs can be fetched.' }
const withUser = { kind: 'refused', message: 'A URL with a user name or password in it is not fetched.' }

describe('A URL that leads inside', () => {
  const rows: [string, string, unknown][] = [
    ['loopback', 'http://127.0.0.1:PORT/', notPublic('127.0.0.1:PORT')],
    ['another loopback', 'http://127.8.9.10:PORT/', notPublic('127.8.9.10:PORT')],
    ['nothing, which is this machine', 'http://0.0.0.0:PORT/', notPublic('0.0.0.0:PORT')],
    ['loopback in decimal', 'http://2130706433:PORT/', unusual],
    ['loopback in hex', 'http://0x7f000001:PORT/', unusual],
    ['loopback with a hex part', 'http://0x7f.0.0.1:PORT/', unusual],
    ['loopback in octal', 'http://0177.0.0.1:PORT/', unusual],
    ['loopback in short', 'http://127.1:PORT/', unusual],
    ['zero', 'http://0:PORT/', unusual],
    ['loopback with a dot at the end', 'http://127.0.0.1.:PORT/', unusual],
    ['loopback in round digits', 'http://①②⑦.⓪.⓪.①:PORT/', unusual],
    ['loopback with ideographic dots', 'http://127。0。0。1:PORT/', unusual],
    ['loopback in percent', 'http://%31%32%37.0.0.1:PORT/', unusual],
    ['a name of loopback', 'http://localhost:PORT/', notPublic('localhost:PORT')],
    ['the same in capitals', 'http://LOCALHOST:PORT/', notPublic('localhost:PORT')],
    ['the same with a dot at the end', 'http://localhost.:PORT/', unusual],
    ['the same with a round letter', 'http://ⓛocalhost:PORT/', unusual],
    ['a name in another script', 'http://lοcalhost:PORT/', unusual],
    ['a user before the host', 'http://hooks.example.com@127.0.0.1:PORT/', withUser],
    ['a password too', 'http://hooks.example.com:80@127.0.0.1:PORT/', withUser],
    ['a password alone', 'http://:80@127.0.0.1:PORT/', withUser],
    ['an empty user', 'http://@127.0.0.1:PORT/', unusual],
    ['a backslash before the host', 'http:\\\\127.0.0.1:PORT/', unusual],
    ['a backslash after the host', 'http://127.0.0.1:PORT\\@hooks.example.com/', unusual],
    ['a backslash in the path', 'http://hooks.example.com/a\\b', unusual],
    ['a tab in the host', 'http://127.0.\t0.1:PORT/', unusual],
    ['a line end in the host', 'http://local\nhost:PORT/', unusual],
    ['a carriage return in the path', 'http://hooks.example.com/a\rb', unusual],
    ['a space before it', ' http://127.0.0.1:PORT/', unusual],
    ['no slashes', 'http:127.0.0.1:PORT/', unusual],
    ['three slashes', 'http:///127.0.0.1:PORT/', unusual],
    ['nothing in IPv6', 'http://[::]:PORT/', notPublic('[::]:PORT')],
    ['loopback in IPv6', 'http://[::1]:PORT/', notPublic('[::1]:PORT')],
    ['loopback in IPv6 at length', 'http://[0:0:0:0:0:0:0:1]:PORT/', unusual],
    ['loopback in IPv6, mapped', 'http://[::ffff:7f00:1]:PORT/', notPublic('[::ffff:7f00:1]:PORT')],
    ['the same with dots', 'http://[::ffff:127.0.0.1]:PORT/', unusual],
    ['loopback in IPv6, as it once was', 'http://[::7f00:1]:PORT/', notPublic('[::7f00:1]:PORT')],
    ['metadata in IPv6, mapped', 'http://[::ffff:a9fe:a9fe]/', notPublic('[::ffff:a9fe:a9fe]')],
    ['metadata in IPv6, translated', 'http://[64:ff9b::a9fe:a9fe]/', notPublic('[64:ff9b::a9fe:a9fe]')],
    ['the same, locally', 'http://[64:ff9b:1::a9fe:a9fe]/', notPublic('[64:ff9b:1::a9fe:a9fe]')],
    ['metadata in 6to4', 'http://[2002:a9fe:a9fe::]/', notPublic('[2002:a9fe:a9fe::]')],
    ['Teredo', 'http://[2001:0:a9fe:a9fe::]/', notPublic('[2001:0:a9fe:a9fe::]')],
    ['link-local IPv6', 'http://[fe80::1]/', notPublic('[fe80::1]')],
    ['link-local IPv6 of an interface', 'http://[fe80::1%25eth0]/', unreadable],
    ['unique local IPv6', 'http://[fc00::1]/', notPublic('[fc00::1]')],
    ["AWS's metadata in IPv6", 'http://[fd00:ec2::254]/', notPublic('[fd00:ec2::254]')],
    ['site-local IPv6', 'http://[fec0::1]/', notPublic('[fec0::1]')],
    ['multicast IPv6', 'http://[ff02::1]/', notPublic('[ff02::1]')],
    ['documentation IPv6', 'http://[2001:db8::1]/', notPublic('[2001:db8::1]')],
    ['the other documentation IPv6', 'http://[3fff::1]/', notPublic('[3fff::1]')],
    ['benchmarks in IPv6', 'http://[2001:2::1]/', notPublic('[2001:2::1]')],
    ['multicast relays in IPv6', 'http://[2001:3::1]/', notPublic('[2001:3::1]')],
    ['a sink of look-ups in IPv6', 'http://[2001:4:112::1]/', notPublic('[2001:4:112::1]')],
    ['hashes, as they once were', 'http://[2001:10::1]/', notPublic('[2001:10::1]')],
    ['hashes', 'http://[2001:20::1]/', notPublic('[2001:20::1]')],
    ['drones', 'http://[2001:30::1]/', notPublic('[2001:30::1]')],
    ['IPv6 that nobody has', 'http://[4000::1]/', notPublic('[4000::1]')],
    ['metadata', 'http://169.254.169.254/', notPublic('169.254.169.254')],
    ['metadata in decimal', 'http://2852039166/', unusual],
    ["Azure's host", 'http://168.63.129.16/', notPublic('168.63.129.16')],
    ["Alibaba's metadata", 'http://100.100.100.200/', notPublic('100.100.100.200')],
    ["Oracle's metadata", 'http://192.0.0.192/', notPublic('192.0.0.192')],
    ['private 10/8', 'https://10.1.2.3/', notPublic('10.1.2.3')],
    ['private 172.16/12', 'https://172.31.255.255/', notPublic('172.31.255.255')],
    ['private 192.168/16', 'https://192.168.0.1/', notPublic('192.168.0.1')],
    ["a carrier's", 'http://100.64.0.1/', notPublic('100.64.0.1')],
    ['benchmarks', 'http://198.18.0.1/', notPublic('198.18.0.1')],
    ['documentation', 'http://203.0.113.7/', notPublic('203.0.113.7')],
    ['6to4 relays', 'http://192.88.99.1/', notPublic('192.88.99.1')],
    ['multicast relays', 'http://192.52.193.1/', notPublic('192.52.193.1')],
    ['a sink of look-ups', 'http://192.175.48.1/', notPublic('192.175.48.1')],
    ['multicast', 'http://224.0.0.1/', notPublic('224.0.0.1')],
    ['reserved', 'http://240.0.0.1/', notPublic('240.0.0.1')],
    ['everybody', 'http://255.255.255.255/', notPublic('255.255.255.255')],
    ['a file', 'file:///etc/passwd', otherScheme],
    ['a socket of this machine', 'unix:///var/run/docker.sock', otherScheme],
    ['data', 'data:text/plain,hello', otherScheme],
    ['a bucket', 's3://bucket/key', otherScheme],
    ['a file of another machine', 'ftp://127.0.0.1:PORT/', otherScheme],
    ['gopher', 'gopher://127.0.0.1:PORT/', otherScheme],
    ['no URL', '127.0.0.1:PORT', unreadable],
    ['an address that is none', 'http://256.0.0.1/', unreadable],
  ]
  test.each(rows)('is refused before anything is connected to: %s', async (_, written, refusal) => {
    await using peer = await listening()
    const atPort = (text: string) => text.replaceAll('PORT', String(peer.port))
    const sent: string[] = []
    const options = {
      ...names({ localhost: [['127.0.0.1']] }),
      send: (...[address, url, init]: Parameters<ReturnType<typeof directly>>) => {
        sent.push(address)
        return directly()(address, url, init)
      },
    }

    const result = await outcome(openEgress({ ...options, allow: [] }).fetch(atPort(written)))

    expect(result).toEqual(JSON.parse(atPort(JSON.stringify(refusal))))
    expect([sent, peer.connections()]).toEqual([[], 0])
    const listed = openEgress({ ...options, allow: ['127.0.0.1'] })
    expect(await outcome(listed.fetch(atPort('http://127.0.0.1:PORT/')))).toBe(200)
    expect([sent, peer.connections()]).toEqual([['127.0.0.1'], 1])
  })

  test('may be an object, in which no notation is left', async () => {
    const sent: string[] = []
    const egress = openEgress({ allow: [], send: recording(sent) })

    const results = [
      await outcome(egress.fetch(new URL('http://2130706433/'))),
      await outcome(egress.fetch(new URL('http://0x08080808/'))),
    ]

    expect(results).toEqual([notPublic('127.0.0.1'), 200])
    expect(sent).toEqual(['8.8.8.8'])
  })
})

describe('A URL that leads outside', () => {
  const rows: [string, string][] = [
    ['http://8.8.8.8/', '8.8.8.8'],
    ['http://172.32.0.1/', '172.32.0.1'],
    ['http://100.128.0.1/', '100.128.0.1'],
    ['https://[2606:4700:4700::1111]/', '2606:4700:4700::1111'],
    ['https://hooks.example.com/services/T0/B0?x=1#y', '93.184.215.14'],
    ['HTTPS://Hooks.Example.com:443/', '93.184.215.14'],
    ['http://hooks.example.com:8080', '93.184.215.14'],
    ['http://xn--mnchen-3ya.example/', '93.184.215.15'],
    ['http://under_score.example/', '93.184.215.16'],
  ]
  test.each(rows)('is gone to: %s', async (url, address) => {
    const sent: string[] = []
    const { resolve } = names({
      'hooks.example.com': [['93.184.215.14']],
      'xn--mnchen-3ya.example': [['93.184.215.15']],
      'under_score.example': [['93.184.215.16']],
    })

    const response = await openEgress({ allow: [], resolve, send: recording(sent) }).fetch(url)

    expect(response.status).toBe(200)
    expect(sent).toEqual([address])
  })
})

describe('A name', () => {
  test('is refused when one of its addresses is not public, whichever comes first', async () => {
    const sent: string[] = []
    const { resolve } = names({
      'first.example': [['10.0.0.1', '93.184.215.14']],
      'last.example': [['93.184.215.14', '::1']],
      'mapped.example': [['93.184.215.14', '::ffff:10.0.0.1']],
      'public.example': [['93.184.215.14', '2606:4700::1']],
    })
    const egress = openEgress({ allow: [], resolve, send: recording(sent) })

    const results = await Promise.all(
      ['first', 'last', 'mapped', 'public'].map((name) => outcome(egress.fetch(`https://${name}.example/hook`))),
    )

    expect(results).toEqual([notPublic('first.example'), notPublic('last.example'), notPublic('mapped.example'), 200])
    expect(sent).toEqual(['93.184.215.14'])
  })

  test('without an address, or whose server fails, may be tried again', async () => {
    const failing = Object.assign(new Error('queryA ETIMEOUT broken.example'), { code: 'ETIMEOUT' })
    const resolve = async (name: string) => (name === 'broken.example' ? Promise.reject(failing) : [])
    const egress = openEgress({ allow: [], resolve })

    const results = [
      await outcome(egress.fetch('https://nobody.example/')),
      await outcome(egress.fetch('https://broken.example/')),
    ]

    expect(results).toEqual([
      { kind: 'failed', message: 'nobody.example has no address.' },
      { kind: 'failed', message: 'No answer from broken.example (ETIMEOUT).' },
    ])
  })
})

const recording = (sent: string[]) => async (address: string) => {
  sent.push(address)
  return new Response('ok')
}
