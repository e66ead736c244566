/** What an application is told of its client: by us alone, and with the word of a trusted proxy. */

import t from 'tap'
import { isRefusal, parseRequestHead } from '../../../proxy/http/request-head.js'
import { type Believed, believe, type Origin, wireHeaders } from '../../../proxy/route/forwarded-fields.js'
import { TrustedProxies } from '../../../proxy/route/trusted-proxies.js'

const PEER: Origin = { address: '10.0.0.9', port: 40_000, encrypted: false }
const trusted = new TrustedProxies(['10.0.0.0/8', 'fd00::/8'])

function headOf(fields: string[]) {
  const head = parseRequestHead(['GET / HTTP/1.1', 'Host: shop.example', ...fields].join('\r\n'))
  if (isRefusal(head)) throw new Error(head.refused)
  return head
}

function told(fields: string[], peer = PEER): { believed: Believed; fields: Record<string, string> } {
  const head = headOf(fields)
  const believed = believe(head, peer, address => trusted.trusts(address))
  const parts = wireHeaders(head, believed, believed, 'id-1').slice(1).split('\n')
  const pairs: [string, string][] = []
  for (let index = 0; index < parts.length; index += 2) pairs.push([parts[index] ?? '', parts[index + 1] ?? ''])
  return { believed, fields: Object.fromEntries(pairs) }
}

t.test('the client of a chain', async t => {
  const cases: [title: string, chain: string, address: string, passedOn: string][] = [
    ['one', '192.0.2.1', '192.0.2.1', '192.0.2.1, 10.0.0.9'],
    ['behind a trusted one', '192.0.2.1, 10.1.1.1', '192.0.2.1', '192.0.2.1, 10.1.1.1, 10.0.0.9'],
    ['what the client made up', '6.6.6.6, 192.0.2.1,10.1.1.1', '192.0.2.1', '6.6.6.6, 192.0.2.1, 10.1.1.1, 10.0.0.9'],
    ['a trusted address that the client made up', '10.6.6.6, 192.0.2.1', '192.0.2.1', '10.6.6.6, 192.0.2.1, 10.0.0.9'],
    ['all trusted: the first', '10.1.1.1, fd00::1', '10.1.1.1', '10.1.1.1, fd00::1, 10.0.0.9'],
    ['mapped', '::ffff:192.0.2.1, ::ffff:10.1.1.1', '192.0.2.1', '::ffff:192.0.2.1, ::ffff:10.1.1.1, 10.0.0.9'],
    ['no address ends the chain', 'unknown, 10.1.1.1', '10.1.1.1', '10.1.1.1, 10.0.0.9'],
    ['nonsense before it goes no further', '<x>, 192.0.2.1', '192.0.2.1', '192.0.2.1, 10.0.0.9'],
    ['nonsense last', '192.0.2.1, nonsense', '10.0.0.9', '10.0.0.9'],
    ['an empty element', '192.0.2.1,', '10.0.0.9', '10.0.0.9'],
    ['empty', '', '10.0.0.9', '10.0.0.9'],
  ]
  for (const [title, chain, address, passedOn] of cases) {
    const { believed, fields } = told([`X-Forwarded-For: ${chain}`])
    t.equal(believed.address, address, title)
    t.equal(fields['X-Forwarded-For'], passedOn, title)
  }
  t.equal(told(['X-Forwarded-For: 192.0.2.1:555']).believed.port, 555, 'with its port')
  t.equal(told(['X-Forwarded-For: 192.0.2.1']).believed.port, 0, 'or without')
  t.equal(told(['X-Real-IP: 6.6.6.6']).believed.port, 40_000, 'the peer itself has one')
  const lines = told(['X-Forwarded-For: 6.6.6.6', 'A: b', 'x-forwarded-for: 192.0.2.1, 10.1.1.1'])
  t.equal(lines.believed.address, '192.0.2.1', 'several lines are one list')
  t.equal(lines.fields['X-Forwarded-For'], '6.6.6.6, 192.0.2.1, 10.1.1.1, 10.0.0.9')
})

t.test('the other fields', async t => {
  const cases: [title: string, fields: string[], expected: Record<string, string | undefined>][] = [
    ['nothing said', ['X-Real-IP: x'], { 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'shop.example' }],
    ['proto', ['X-Forwarded-Proto: HTTPS'], { 'X-Forwarded-Proto': 'https' }],
    ['proto: two', ['X-Forwarded-Proto: https, http'], { 'X-Forwarded-Proto': 'http' }],
    [
      'proto: one for each address',
      ['X-Forwarded-For: 192.0.2.1, 10.1.1.1', 'X-Forwarded-Proto: https, http'],
      { 'X-Forwarded-Proto': 'https' },
    ],
    [
      'proto: one for each address, and what the client wrote before',
      ['X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.1.1', 'X-Forwarded-Proto: https, http, https'],
      { 'X-Forwarded-Proto': 'http' },
    ],
    [
      'proto: one for each address, some of which are none',
      ['X-Forwarded-For: me, 192.0.2.1', 'X-Forwarded-Proto: http, https'],
      { 'X-Forwarded-Proto': 'https' },
    ],
    [
      'proto: more than addresses',
      ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https, http'],
      { 'X-Forwarded-Proto': 'http' },
    ],
    ['proto: twice', ['X-Forwarded-Proto: https', 'X-Forwarded-Proto: HTTPS'], { 'X-Forwarded-Proto': 'https' }],
    ['proto: the same of two', ['X-Forwarded-Proto: https,https'], { 'X-Forwarded-Proto': 'https' }],
    ['proto: of two, one of them silent', ['X-Forwarded-Proto: https,'], { 'X-Forwarded-Proto': 'http' }],
    ['host: the same of two', ['X-Forwarded-Host: a.b, A.b'], { 'X-Forwarded-Host': 'a.b' }],
    [
      'what only applications know',
      ['X-Forwarded-Prefix: /x', 'x-forwarded-By: y'],
      { 'X-Forwarded-Prefix': '/x', 'x-forwarded-By': 'y' },
    ],
    ['proto: nonsense', ['X-Forwarded-Proto: javascript'], { 'X-Forwarded-Proto': 'http' }],
    ['host', ['X-Forwarded-Host: www.example:8443'], { 'X-Forwarded-Host': 'www.example:8443', Host: 'shop.example' }],
    ['host: nonsense', ['X-Forwarded-Host: a/b@c'], { 'X-Forwarded-Host': 'shop.example' }],
    ['host: two', ['X-Forwarded-Host: a, b'], { 'X-Forwarded-Host': 'a, b' }],
    [
      'host: two lines',
      ['X-Forwarded-Host: a:1', 'X-Forwarded-Host: b,[::1]:2'],
      { 'X-Forwarded-Host': 'a:1, b, [::1]:2' },
    ],
    ['host: one of two is nonsense', ['X-Forwarded-Host: a, b@c'], { 'X-Forwarded-Host': 'shop.example' }],
    ['host: one of two is missing', ['X-Forwarded-Host: a,'], { 'X-Forwarded-Host': 'shop.example' }],
    ['host: Forwarded has no lists', ['Forwarded: for=192.0.2.1;host="a, b"'], { 'X-Forwarded-Host': 'shop.example' }],
    ['port: two', ['X-Forwarded-Port: 443,8080'], { 'X-Forwarded-Port': '443, 8080' }],
    ['port: one of two is nonsense', ['X-Forwarded-Port: 443, x'], { 'X-Forwarded-Port': undefined }],
    ['port', ['X-Forwarded-Port: 8443'], { 'X-Forwarded-Port': '8443' }],
    ['port: too large', ['X-Forwarded-Port: 65536'], { 'X-Forwarded-Port': undefined }],
    ['port: nonsense', ['X-Forwarded-Port: 0x1'], { 'X-Forwarded-Port': undefined }],
    ['no port', ['X-Forwarded-For: 192.0.2.1'], { 'X-Forwarded-Port': undefined, Forwarded: undefined }],
    ['the real one', ['X-Forwarded-For: 192.0.2.1', 'X-Real-IP: 6.6.6.6'], { 'X-Real-IP': '192.0.2.1' }],
    [
      'nominated by Connection',
      ['Connection: X-Forwarded-For', 'X-Forwarded-For: 192.0.2.1'],
      { 'X-Forwarded-For': '192.0.2.1, 10.0.0.9' },
    ],
    ['a trace', ['traceparent: 00-a-b-01', 'X-Forwarded-For: 192.0.2.1'], { traceparent: '00-a-b-01' }],
  ]
  for (const [title, fields, expected] of cases) {
    const got = told(fields).fields
    for (const [name, value] of Object.entries(expected)) t.equal(got[name], value, `${title}: ${name}`)
  }
})

t.test('encrypted is what a trusted proxy says', async t => {
  const cases: [fields: string[], peerEncrypted: boolean, expected: boolean][] = [
    [['X-Forwarded-Proto: https'], false, true],
    [['X-Forwarded-Proto: wss'], false, true],
    [['X-Forwarded-Proto: http'], true, false],
    [['X-Forwarded-Proto: nonsense'], true, true],
    [['X-Forwarded-For: 192.0.2.1'], true, true],
    [['Forwarded: for=192.0.2.1;proto=https'], false, true],
  ]
  for (const [fields, encrypted, expected] of cases) {
    t.equal(told(fields, { ...PEER, encrypted }).believed.encrypted, expected, fields.join())
  }
})

t.test('Forwarded', async t => {
  const own = 'for=10.0.0.9;proto=http;host=shop.example'
  const cases: [title: string, fields: string[], address: string, expected: Record<string, string | undefined>][] = [
    [
      'alone, it tells all',
      ['Forwarded: for=6.6.6.6, for="192.0.2.1:9";proto=https;host=www.example, for=10.1.1.1;proto=http'],
      '192.0.2.1',
      {
        Forwarded: `for=6.6.6.6, for="192.0.2.1:9";proto=https;host=www.example, for=10.1.1.1;proto=http, ${own}`,
        'X-Forwarded-For': '6.6.6.6, 192.0.2.1, 10.1.1.1, 10.0.0.9',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'www.example',
      },
    ],
    ['malformed', ['Forwarded: for="x'], '10.0.0.9', { Forwarded: undefined, 'X-Forwarded-For': '10.0.0.9' }],
    [
      'of nobody',
      ['Forwarded: for=unknown'],
      '10.0.0.9',
      { Forwarded: `for=unknown, ${own}`, 'X-Forwarded-For': '10.0.0.9' },
    ],
    [
      'it agrees',
      ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.1'],
      '192.0.2.1',
      { Forwarded: `for=192.0.2.1, ${own}`, 'X-Forwarded-For': '192.0.2.1, 10.0.0.9' },
    ],
    [
      'it disagrees: the client may have made it up',
      ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=6.6.6.6;proto=https'],
      '192.0.2.1',
      { Forwarded: undefined, 'X-Forwarded-Proto': 'http' },
    ],
  ]
  for (const [title, fields, address, expected] of cases) {
    const got = told(fields)
    t.equal(got.believed.address, address, title)
    for (const [name, value] of Object.entries(expected)) t.equal(got.fields[name], value, `${title}: ${name}`)
  }
})

t.test('an id is kept when it is well-formed', async t => {
  t.equal(told(['X-Request-Id: abc-1']).believed.requestId, 'abc-1')
  for (const bad of ['', 'a b', 'x'.repeat(129)]) t.equal(told([`X-Request-Id: ${bad}`]).believed.requestId, null)
  t.equal(told(['X-Request-Id: a', 'X-Request-Id: b']).believed.requestId, null, 'two are none')
})

t.test('of anybody else nothing is believed', async t => {
  const head = headOf([
    'X-Forwarded-For: 6.6.6.6',
    'Forwarded: for=6.6.6.6',
    'X-Request-Id: evil',
    'X_Request_Id: evil',
    'A: b',
  ])
  t.equal(
    wireHeaders(head, PEER, null, 'id-1'),
    '\nHost\nshop.example\nA\nb\nX-Forwarded-For\n10.0.0.9\nX-Forwarded-Proto\nhttp\nX-Forwarded-Host\nshop.example\nX-Request-Id\nid-1',
  )
})
