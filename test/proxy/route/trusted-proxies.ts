/** Who is trusted. */

import t from 'tap'
import { TrustedProxies, trustedProxies } from '../../../proxy/route/trusted-proxies.js'

t.test('addresses, networks and unix', async t => {
  const trusted = new TrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1', 'unix'])
  const cases: [address: string, expected: boolean][] = [
    ['10.0.0.0', true],
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['127.0.0.1', false],
    ['2001:db8:ffff::1', true],
    ['2001:db9::1', false],
    ['::1', true],
    ['::2', false],
  ]
  for (let round = 0; round < 2; round++) {
    for (const [address, expected] of cases) t.equal(trusted.trusts(address), expected, address)
  }
})

t.test('who came through a unix socket is judged by that alone', async t => {
  const cases: [networks: string[], overUnix: boolean, expected: boolean][] = [
    [['127.0.0.1'], false, true],
    [['127.0.0.1'], true, false],
    [['unix'], true, true],
    [['unix'], false, false],
  ]
  for (const [networks, overUnix, expected] of cases) {
    t.equal(new TrustedProxies(networks).trustsPeer({ address: '127.0.0.1', overUnix }), expected)
  }
})

t.test('a client whom its proxy does not name is not trusted', async t => {
  const all = new TrustedProxies(['0.0.0.0/0', 'unix'])
  for (const overUnix of [false, true]) {
    t.equal(all.trustsPeer({ address: '127.0.0.1', overUnix, isUnnamed: false }), true)
    t.equal(all.trustsPeer({ address: '127.0.0.1', overUnix, isUnnamed: true }), false)
  }
})

t.test('nobody, everybody, and more addresses than are remembered', async t => {
  t.equal(trustedProxies([]), null)
  const all = new TrustedProxies(['0.0.0.0/0', '::/0'])
  for (let index = 0; index < 3000; index++) t.ok(all.trusts(`10.0.${index >> 8}.${index & 255}`))
})
