/** Tests how connections to foreign upstreams are made. */

import type { Socket } from 'node:net'
import t from 'tap'
import { upstreamConnector } from '../../../proxy/upstream/upstream-connector.js'
import { ForeignServer } from '../fixtures/foreign-server.js'

t.test('a body that comes byte by byte does not pile up in front of an upstream that reads nothing', async t => {
  const { address } = await ForeignServer.http(t, () => {})
  const connect = upstreamConnector(address, 5000)
  const socket = await new Promise<Socket>((resolve, reject) => {
    const to = { hostname: '127.0.0.1', protocol: 'http:', port: 'port' in address ? String(address.port) : '' }
    connect(to, (error, found) => (found === null ? reject(error) : resolve(found)))
  })
  t.teardown(() => socket.destroy())
  // Nothing of it reaches the kernel.
  socket.cork()
  let writes = 1
  while (socket.write('.')) writes++
  t.equal(writes, 16 * 1024)
})
