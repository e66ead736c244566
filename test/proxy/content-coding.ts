/** Which stored form of a file a client gets, by cases and against the package `negotiator`. */

import Negotiator from 'negotiator'
import t from 'tap'
import { type Coding, negotiateCoding } from '../../proxy/content-coding.js'

const ALL: Coding[] = ['br', 'zstd', 'gzip', 'identity']

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
