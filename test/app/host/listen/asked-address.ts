/** Tests `app/host/listen/asked-address.ts`: what `listen` asks for. That Node answers the same is tested with `take-over.ts`. */

import net from 'node:net'
import t from 'tap'

/** Hosts that `isIP` and `isIPv6` of node:net are asked about: for IPv6 Node compiles an expression that takes 10 ms. */
const costly: string[] = []
for (const name of ['isIP', 'isIPv6'] as const) {
  const original = net[name] as (host: string) => unknown
  Object.assign(net, { [name]: (host: string) => costly.push(host) && original(host) })
}
process.getBuiltinModule('node:module').syncBuiltinESMExports()
const { askedAddress } = await import('../../../../app/host/listen/asked-address.js')

const cheap: [title: string, args: unknown[], address: string, family: string][] = [
  ['a port', [3000], '::', 'IPv6'],
  ['no host', [3000, ''], '::', 'IPv6'],
  ['every address', [3000, '::'], '::', 'IPv6'],
  ['every address of IPv4', [{ port: 3000, host: '0.0.0.0' }], '0.0.0.0', 'IPv4'],
  ['the loopback address', ['3000', '127.0.0.1'], '127.0.0.1', 'IPv4'],
  ['a name', [3000, 'localhost'], '127.0.0.1', 'IPv4'],
]
t.test('the usual hosts cost a start nothing', async t => {
  for (const [title, args, address, family] of cheap) t.same(askedAddress(args), { address, family, port: 3000 }, title)
  t.same(costly, [])
})

const others: [title: string, args: unknown[], address: string, family: string][] = [
  ['IPv6', [3000, '::1'], '::1', 'IPv6'],
  ['with a zone', [3000, 'fe80::1%lo'], 'fe80::1%lo', 'IPv6'],
  ['with IPv4 in it', [3000, '::ffff:10.0.0.1'], '::ffff:10.0.0.1', 'IPv6'],
  ['a colon is not enough', [3000, 'a:b'], '127.0.0.1', 'IPv4'],
]
t.test('others are told apart by Node', async t => {
  for (const [title, args, address, family] of others)
    t.same(askedAddress(args), { address, family, port: 3000 }, title)
})
