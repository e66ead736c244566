/** Which coding a client gets, by cases and against the package `negotiator`, and which answers may be coded. */

import Negotiator from 'negotiator'
import t from 'tap'
import {
  type Coding,
  codedFields,
  forbidsTransformation,
  isCompressible,
  negotiateCoding,
} from '../../../proxy/http/content-coding.js'
import type { ResponseField, ResponseHead } from '../../../proxy/http/response-head.js'

const ALL: Coding[] = ['br', 'zstd', 'gzip', 'identity']

/** What can be made on the way: the server's order is another one. */
const MADE: Coding[] = ['zstd', 'br', 'gzip', 'identity']

const CASES: [title: string, value: string | undefined, expected: Coding | null, available?: Coding[]][] = [
  ['no header', undefined, 'identity'],
  ['an empty header', '', 'identity'],
  ['what browsers send', 'gzip, deflate, br, zstd', 'br'],
  ['without br', 'gzip, deflate', 'gzip'],
  ['our order where all are equal', 'gzip, zstd, br', 'br'],
  ['the weights go before our order', 'br;q=0.5, gzip;q=0.8', 'gzip'],
  ['identity asked for more than others', 'br;q=0.1, identity;q=0.5', 'identity'],
  ['identity not mentioned is the last choice', 'br;q=0.001', 'br'],
  ['everything', '*', 'br'],
  ['everything but one', '*, br;q=0', 'zstd'],
  ['nothing but identity', '*;q=0, identity', 'identity'],
  ['nothing', '*;q=0', null],
  ['no identity, no form that is accepted', 'identity;q=0', null],
  ['no identity, one form', 'identity;q=0, gzip', 'gzip'],
  ['no identity and only that is there', 'gzip, identity;q=0', null, ['identity']],
  ['no identity by the star', 'gzip, *;q=0', null, ['br', 'identity']],
  ['refused forms', 'br;q=0, gzip;q=0.0, zstd;q=0.000', 'identity'],
  ['capitals', 'GZIP;Q=1', 'gzip'],
  ['the old name', 'x-gzip', 'gzip'],
  ['an unknown coding', 'lzma', 'identity'],
  ['a name that is only a part', 'brotli, gzipped', 'identity'],
  ['blanks', ' \t gzip \t ; \t q=1 \t ,', 'gzip'],
  ['a weight above one', 'br;q=2, gzip', 'gzip'],
  ['a weight that is no number', 'br;q=x, gzip', 'gzip'],
  ['a weight too fine', 'br;q=0.1234, gzip;q=0.1', 'gzip'],
  ['another parameter', 'br;level=9', 'identity'],
  ['the first of two counts', 'br;q=0, br;q=1', 'identity'],
  ['a name of objects', '__proto__, constructor', 'identity'],
  ['behind fifty elements', `${'x,'.repeat(50)}br`, 'identity'],
]

for (const [title, value, expected, available = ALL] of CASES) {
  t.equal(negotiateCoding(value, available), expected, `${title}: ${value}`)
}

const ON_THE_WAY: [value: string | undefined, expected: Coding | null][] = [
  [undefined, 'identity'],
  ['', 'identity'],
  ['gzip', 'gzip'],
  ['GZIP', 'gzip'],
  ['x-gzip', 'gzip'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip, br', 'br'],
  ['gzip;q=1.0, br;q=0.9', 'gzip'],
  ['gzip ; q=0.5 , br;Q=0.6', 'br'],
  ['deflate', 'identity'],
  ['identity', 'identity'],
  ['*', 'zstd'],
  ['*;q=0.1, zstd;q=0', 'br'],
  ['*;q=0', null],
  ['gzip;q=0', 'identity'],
  ['gzip;q=0.000', 'identity'],
  ['gzip;q=0.001', 'gzip'],
  ['identity;q=0, gzip;q=0.1', 'gzip'],
  ['identity;q=0', null],
  ['identity, gzip;q=0.5', 'identity'],
  ['identity;q=0.5, gzip;q=0.5', 'gzip'],
  ['gzip;q=2', 'identity'],
  ['gzip;q=-1', 'identity'],
  ['gzip;q=', 'identity'],
  ['gzip;level=9', 'identity'],
  ['gzip br', 'identity'],
  ['gzip;q=x, br', 'br'],
  [',,gzip,,', 'gzip'],
]

for (const [value, expected] of ON_THE_WAY) {
  t.equal(negotiateCoding(value, MADE), expected, `made on the way: ${value}`)
}

t.test('agrees with negotiator', async t => {
  const names = ['br', 'gzip', 'zstd', 'identity', '*', 'deflate']
  const weights = ['', ';q=0', ';q=0.5', ';q=1', ';q=0.25', '; q=0.75']
  let seed = 1
  const below = (bound: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % bound
  }
  for (let round = 0; round < 3000; round++) {
    const chosen = names.filter(() => below(2) === 1).sort(() => below(3) - 1)
    const value = chosen.map(name => `${name}${weights[below(weights.length)]}`).join(', ')
    const available = ALL.filter(coding => coding === 'identity' || below(3) > 0)
    const negotiator = new Negotiator({ headers: { 'accept-encoding': value } })
    const acceptable = new Set(negotiator.encodings(available))
    const ours = negotiateCoding(value, available)
    if (ours === null) t.equal(acceptable.size, 0, `${value}: nothing of ${available}`)
    else if (!acceptable.has(ours)) t.fail(`${value}: ${ours} of ${available}, negotiator: ${[...acceptable]}`)
  }
})

t.test('which answers may be compressed', async t => {
  const rule = { types: new Set(['text/html', 'image/*']), minBytes: 100 }
  const html: ResponseField = ['Content-Type', 'text/html; charset=utf-8']
  const cases: [title: string, status: number, fields: ResponseField[], expected: boolean][] = [
    ['of a configured type', 200, [html], true],
    ['of a family', 200, [['content-type', 'IMAGE/svg+xml']], true],
    ['of another type', 200, [['Content-Type', 'text/htmlx']], false],
    ['of no type', 200, [], false],
    ['large enough', 200, [html, ['Content-Length', '100']], true],
    ['too small', 200, [html, ['Content-Length', '99']], false],
    ['coded', 200, [html, ['Content-Encoding', 'br']], false],
    ['coded by nothing', 200, [html, ['Content-Encoding', 'identity']], true],
    ['a part', 200, [html, ['Content-Range', 'bytes 0-1/2']], false],
    ['no-transform', 200, [html, ['Cache-Control', 'public, No-Transform']], false],
    ['an error', 503, [html], true],
    ...[204, 205, 206, 304].map(
      status => [`status ${status}`, status, [html], false] as [string, number, ResponseField[], boolean],
    ),
  ]
  for (const [title, status, fields, expected] of cases) {
    const head: ResponseHead = { status, reason: '', fields, framing: 'close', length: 0 }
    t.equal(isCompressible(head, rule), expected, title)
  }
  const any: ResponseHead = { status: 200, reason: '', fields: [['Content-Type', 'a/b']], framing: 'close', length: 0 }
  t.equal(isCompressible(any, { types: new Set(['*']), minBytes: 0 }), true, 'every type')
  t.equal(forbidsTransformation('x-no-transform'), false)
})

t.test('the fields of a coded answer', async t => {
  const cases: [title: string, fields: ResponseField[], expected: ResponseField[]][] = [
    ['a strong entity tag', [['ETag', '"a"']], [['ETag', 'W/"a"']]],
    ['a weak one', [['etag', 'W/"a"']], [['etag', 'W/"a"']]],
    [
      'framing',
      [
        ['Content-Length', '5'],
        ['Transfer-Encoding', 'chunked'],
      ],
      [],
    ],
    ['ranges', [['Accept-Ranges', 'bytes']], []],
    [
      'others',
      [
        ['A', 'b'],
        ['A', 'c'],
      ],
      [
        ['A', 'b'],
        ['A', 'c'],
      ],
    ],
  ]
  const added: ResponseField[] = [
    ['Content-Encoding', 'gzip'],
    ['Transfer-Encoding', 'chunked'],
    ['Vary', 'Accept-Encoding'],
  ]
  for (const [title, fields, expected] of cases) t.same(codedFields(fields, 'gzip'), [...expected, ...added], title)
  for (const vary of ['*', 'Accept-Encoding', 'Cookie, accept-encoding']) {
    t.same(codedFields([['Vary', vary]], 'br')[0], ['Vary', vary], vary)
    t.equal(codedFields([['Vary', vary]], 'br').length, 3, `${vary} is enough`)
  }
})
