/** Tests `app/host/listen/own-site.ts`: an application asks itself where it believes that it listens. */

import { once } from 'node:events'
import { createServer, get } from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askedAddress } from '../../../../app/host/listen/asked-address.js'
import { connectToOwnSite, showLoopback } from '../../../../app/host/listen/own-site.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

/** A site on a unix socket that was asked to listen with `args`; undone after the test. */
async function ownSite(t: Test, args: unknown[]) {
  const { connect } = net.Socket.prototype
  t.teardown(() => {
    net.Socket.prototype.connect = connect
  })
  const socketPath = join(scratchFolder(t), 's')
  const server = createServer((request, response) =>
    response.end(`own ${request.socket.remoteAddress} ${request.headers.host}`),
  )
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  showLoopback(server)
  await once(server.listen(socketPath), 'listening')
  connectToOwnSite(() => askedAddress(args), socketPath)
}

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

const own: [title: string, asked: (port: number) => unknown[], host: string][] = [
  ['by name', port => [port], 'localhost'],
  ['by IPv4', port => [port, '0.0.0.0'], '127.0.0.1'],
  ['by IPv6', port => [port, '127.0.0.1'], '[::1]'],
  ['by an address that it asked for', port => [port, '192.0.2.7'], '192.0.2.7'],
]
t.test('fetch and node:http reach the site itself', async t => {
  for (const [title, asked, host] of own) {
    await t.test(title, async t => {
      const port = await freePort()
      await ownSite(t, asked(port))
      const text = await (await fetch(`http://${host}:${port}/`)).text()
      t.equal(text, `own 127.0.0.1 ${host}:${port}`)
      const [response] = await once(get(`http://${host}:${port}/`, { agent: false }), 'response')
      const [body] = await once(response, 'data')
      t.equal(String(body), text)
    })
  }
})

t.test('net.connect in each of its forms', async t => {
  const port = await freePort()
  await ownSite(t, [port])
  const forms: [string, () => net.Socket][] = [
    ['a port', () => net.connect(port)],
    ['a port and a host', () => net.connect(port, 'localhost')],
    ['options', () => net.connect({ port, host: '127.0.0.1' })],
    ['a string', () => net.connect({ port: String(port) as unknown as number })],
    ['of a socket', () => new net.Socket().connect(port, '127.0.0.1')],
  ]
  for (const [title, connect] of forms) {
    const socket = connect()
    await once(socket, 'connect')
    t.pass(title)
    socket.destroy()
  }
  await new Promise<void>(resolve => {
    const socket = net.connect(port, 'localhost', () => {
      t.pass('the callback')
      socket.destroy()
      resolve()
    })
  })
})

t.test('port 0 is what address() says', async t => {
  await ownSite(t, [0])
  t.match(await (await fetch('http://localhost:49152/')).text(), /^own /)
})

t.test('everything else goes to the kernel', async t => {
  const other = net.createServer(socket =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nother'),
  )
  await once(other.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as net.AddressInfo
  const cases: [title: string, asked: unknown[]][] = [
    ['another port', [port === 3000 ? 3001 : 3000]],
    ['another address', [port, '192.0.2.7']],
    ['a path', ['/run/site.sock']],
  ]
  for (const [title, asked] of cases) {
    await t.test(title, async t => {
      await ownSite(t, asked)
      t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'other')
    })
  }
})
