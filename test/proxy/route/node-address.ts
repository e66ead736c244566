/** Addresses in forwarding fields. */

import t from 'tap'
import { readNodeAddress } from '../../../proxy/route/node-address.js'

const cases: [text: string, expected: [address: string, port: number] | null][] = [
  ['192.0.2.1', ['192.0.2.1', 0]],
  ['192.0.2.1:8080', ['192.0.2.1', 8080]],
  ['192.0.2.1:65535', ['192.0.2.1', 65_535]],
  ['2001:db8::1', ['2001:db8::1', 0]],
  ['[2001:db8::1]', ['2001:db8::1', 0]],
  ['[2001:db8::1]:443', ['2001:db8::1', 443]],
  ['::ffff:192.0.2.1', ['192.0.2.1', 0]],
  ['[::FFFF:192.0.2.1]:1', ['192.0.2.1', 1]],
  ['::1', ['::1', 0]],
  ['', null],
  ['unknown', null],
  ['_hidden', null],
  ['localhost', null],
  ['192.0.2.256', null],
  ['192.0.2', null],
  ['192.0.2.1:', null],
  ['192.0.2.1:65536', null],
  ['192.0.2.1:http', null],
  ['192.0.2.1 ', null],
  ['0300.0.0.1', null],
  ['[192.0.2.1]', null],
  ['[2001:db8::1', null],
  ['[2001:db8::1]443', null],
  ['2001:db8::1::', null],
  ['fe80::1%eth0', null],
  ['1'.repeat(10_000), null],
]
t.test('reads', async t => {
  for (const [text, expected] of cases) {
    const node = readNodeAddress(text)
    t.same(node === null ? null : [node.address, node.port], expected, text.slice(0, 30) || 'empty')
  }
})
