/** Networks as an operator writes them. */

import t from 'tap'
import { readNetwork } from '../../../../kit/options/values/network.js'

t.test('reads', async t => {
  const good = [
    'unix',
    '127.0.0.1',
    '::1',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '192.0.2.1/32',
    '2001:db8::/32',
    '::/0',
    'fd00::/8',
    '::ffff:0:0/96',
    '2001:db8:8000::/33',
  ]
  for (const text of good) t.same(readNetwork(text), { ok: true, value: text }, text)
  const bad: [text: string, hint: string | null][] = [
    ['', null],
    ['localhost', null],
    ['UNIX', null],
    ['10.0.0.0/33', null],
    ['10.0.0.0/-1', null],
    ['10.0.0.0/', null],
    ['10.0.0/8', null],
    ['10.0.0.0/255.0.0.0', null],
    ['2001:db8::/129', null],
    ['[::1]', null],
    ['fe80::1%eth0', null],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.0.2.255/25', '192.0.2.128/25'],
    ['2001:db8::1/32', '2001:db8::/32'],
    ['2001:db8:c000::/33', '2001:db8:8000::/33'],
  ]
  for (const [text, hint] of bad) t.same(readNetwork(text), { ok: false, hint }, text)
})
