/** The line in front of a tunnel: `kit/link/tunnel-preamble.ts`. */

import t from 'tap'
import { MAX_PREAMBLE_BYTES, printPreamble, readPreamble, type TunnelPeer } from '../../../kit/link/tunnel-preamble.js'

const peers: TunnelPeer[] = [
  { address: '203.0.113.7', port: 51_234, encrypted: true },
  { address: '2001:db8::1', port: 0, encrypted: false },
  { address: 'fe80::1%eth0', port: 65_535, encrypted: false },
]
for (const peer of peers) {
  t.test(`${peer.address} there and back`, t => {
    const line = printPreamble(peer)
    const bytes = Buffer.from(`${line}GET / HTTP/1.1\r\n`, 'latin1')
    t.same(readPreamble(bytes), { peer, length: line.length })
    for (let end = 0; end < line.length; end++) t.equal(readPreamble(bytes.subarray(0, end)), 'more')
    t.end()
  })
}

const bad: [title: string, text: string][] = [
  ['a request', 'GET / HTTP/1.1\r\n'],
  ['a name for an address', 'TUNNEL localhost 1 tcp\n'],
  ['no port', 'TUNNEL 127.0.0.1 tcp\n'],
  ['a port beyond', 'TUNNEL 127.0.0.1 65536 tcp\n'],
  ['another way', 'TUNNEL 127.0.0.1 1 udp\n'],
  ['more behind', 'TUNNEL 127.0.0.1 1 tcp x\n'],
  ['a carriage return', 'TUNNEL 127.0.0.1 1 tcp\r\n'],
  ['no end', 'x'.repeat(MAX_PREAMBLE_BYTES)],
  ['an end too late', `TUNNEL 127.0.0.1 ${'1'.repeat(MAX_PREAMBLE_BYTES)} tcp\n`],
]
for (const [title, text] of bad) {
  t.test(`refused: ${title}`, t => {
    t.equal(readPreamble(Buffer.from(text)), 'bad')
    t.end()
  })
}
