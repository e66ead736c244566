/** The worker's socket for tunnels: `app/host/link/tunnel-server.ts`, with a real `http.Server` behind it and hostile peers before it. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openTunnelServer } from '../../../../app/host/link/tunnel-server.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

const HANDSHAKE = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

async function open(t: Test, application: Server) {
  const path = join(scratchFolder(t), 'tunnel')
  const tunnels = await openTunnelServer(path, application)
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    void tunnels.close()
  })
  const dial = async () => {
    const socket = connect(path)
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }
  return { tunnels, dial }
}

for (const [title, pieces] of [
  ['in one piece', [`TUNNEL 203.0.113.7 4711 tls\n${HANDSHAKE}early`]],
  ['byte by byte', [...`TUNNEL 203.0.113.7 4711 tls\n${HANDSHAKE}early`]],
  ['the line first', ['TUNNEL 203.0.113.7 4711 tls\n', `${HANDSHAKE}early`]],
] as [string, string[]][]) {
  t.test(`the application gets an upgrade of the client named: ${title}`, async t => {
    const server = createServer()
    const { tunnels, dial } = await open(t, server)
    const upgrade = once(server, 'upgrade')
    const peer = await dial()
    peer.setNoDelay(true)
    for (const piece of pieces) await new Promise<void>(resolve => peer.write(piece, () => setImmediate(resolve)))
    const [asked, socket, head] = (await upgrade) as [IncomingMessage, Socket, Buffer]
    t.match(asked, { url: '/ws', headers: { upgrade: 'websocket' } })
    t.match(asked.socket, { remoteAddress: '203.0.113.7', remotePort: 4711, remoteFamily: 'IPv4', encrypted: true })
    let received = head.toString()
    socket.on('data', chunk => {
      received += String(chunk)
    })
    while (received !== 'early') await new Promise(resolve => setImmediate(resolve))
    socket.on('data', chunk => socket.write(chunk))
    peer.write('hello')
    t.equal(String((await once(peer, 'data'))[0]), 'hello')
    t.equal(tunnels.open, 1)
    const closed = tunnels.close()
    peer.end()
    socket.end()
    await closed
    while (tunnels.open > 0) await new Promise(resolve => setImmediate(resolve))
  })
}

t.test('an ordinary answer, and another request on the same connection', async t => {
  const server = createServer((request, response) => void response.end(request.socket.remoteAddress))
  const { dial } = await open(t, server)
  const peer = await dial()
  for (const line of ['TUNNEL 2001:db8::9 1 tcp\n', '']) {
    peer.write(`${line}GET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.match(String((await once(peer, 'data'))[0]), /^HTTP\/1\.1 200 OK[\s\S]*2001:db8::9$/)
  }
})

/** An upgraded socket of the client that `line` names, as the application has it; `server` says to listen on `address`. */
async function upgraded(t: Test, line: string, address: unknown): Promise<Socket> {
  const server = createServer()
  server.address = () => address as never
  const { dial } = await open(t, server)
  const upgrade = once(server, 'upgrade')
  const peer = await dial()
  peer.write(line + HANDSHAKE)
  peer.on('error', () => {}).resume()
  const [, socket] = (await upgrade) as [IncomingMessage, Socket]
  return socket
}

t.test('both ends of it have an address', async t => {
  const local = { address: '192.0.2.80', family: 'IPv4', port: 8080 }
  const socket = await upgraded(t, 'TUNNEL 203.0.113.7 4711 tcp\n', local)
  t.match(socket, { localAddress: '192.0.2.80', localPort: 8080, localFamily: 'IPv4', remoteAddress: '203.0.113.7' })
  t.same(socket.address(), local)
  t.equal('encrypted' in socket, false)
  const onPath = await upgraded(t, 'TUNNEL 203.0.113.7 4711 tcp\n', '/srv/app.sock')
  t.match(onPath, { localAddress: undefined, localPort: undefined })
  t.same(onPath.address(), {})
})

t.test('what can be assigned on a socket of Node’s can be on it', async t => {
  const socket = await upgraded(t, 'TUNNEL 203.0.113.7 4711 tls\n', null)
  t.match(socket, { encrypted: true })
  for (const [name, value] of Object.entries({
    encrypted: false,
    timeout: 5,
    address: () => ({}),
    resetAndDestroy: null,
  })) {
    Object.assign(socket, { [name]: value })
    t.equal((socket as unknown as Record<string, unknown>)[name], value, name)
  }
})

t.test('a reset of it ends it, and throws nothing', async t => {
  const socket = await upgraded(t, 'TUNNEL 203.0.113.7 4711 tcp\n', null)
  const closed = once(socket, 'close')
  t.equal(socket.resetAndDestroy(), socket)
  t.same(await closed, [false])
  t.equal(socket.resetAndDestroy(), socket, 'twice')
})

for (const [title, read] of [
  ['never reads', () => {}],
  ['reads on', (socket: Socket) => void socket.resume()],
] as [string, (socket: Socket) => void][]) {
  t.test(`an application that ${title} and forgets to end its half keeps nothing open`, async t => {
    const server = createServer()
    const { tunnels, dial } = await open(t, server)
    server.on('upgrade', (_request, socket: Socket) => {
      read(socket)
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    })
    const [left, leaving, staying] = [await dial(), await dial(), await dial()]
    for (const peer of [left, leaving, staying]) {
      peer.write(`TUNNEL 203.0.113.7 4711 tls\n${HANDSHAKE}`)
      await once(peer, 'data')
    }
    const closing = (peer: Socket) => once(peer.end(), 'close')
    left.end()
    for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
    t.equal(tunnels.open, 3, 'a half-open one is left to the application')
    const closed = tunnels.close()
    await Promise.all([once(left, 'close'), closing(leaving)])
    while (tunnels.open > 1) await new Promise(resolve => setImmediate(resolve))
    await Promise.all([closing(staying), closed])
  })
}

/** Says more than the sockets hold, and is gone. */
async function flooded(t: Test, take: (socket: Socket) => void) {
  const server = createServer()
  const { tunnels, dial } = await open(t, server)
  const upgrade = once(server, 'upgrade')
  const peer = await dial()
  peer.on('error', () => {})
  peer.write(`TUNNEL 203.0.113.7 4711 tcp\n${HANDSHAKE}`)
  const [, socket] = (await upgrade) as [IncomingMessage, Socket]
  socket.on('error', () => {})
  take(socket)
  peer.write(Buffer.alloc(150_000))
  while (socket.readableLength < socket.readableHighWaterMark && socket.bytesRead < 150_000)
    await new Promise(resolve => setImmediate(resolve))
  return { tunnels, peer, socket }
}

for (const [title, take] of [
  ['pauses', socket => void socket.pause()],
  ['waits to be asked', socket => void socket.on('readable', () => {})],
  [
    'passes on to a side that is stuck',
    socket => void socket.pipe(new Writable({ highWaterMark: 1, write: () => {} })),
  ],
] as [string, (socket: Socket) => void][]) {
  t.test(`what an application that ${title} leaves unread keeps nothing open`, async t => {
    const { tunnels, peer, socket } = await flooded(t, take)
    const closed = once(socket, 'close')
    const ended = tunnels.close().then(() => 'ended')
    peer.destroy()
    const late = new AbortController()
    t.equal(await Promise.race([ended, delay(8000, 'late', late).catch(() => '')]), 'ended')
    late.abort()
    if (tunnels.open > 0) socket.destroy()
    await closed
  })
}

t.test('an application that reads slowly gets all', async t => {
  const { tunnels, peer, socket } = await flooded(t, socket => void socket.pause())
  const ended = tunnels.close()
  peer.destroy()
  let bytes = 0
  const readOn = setInterval(() => {
    bytes += (socket.read(Math.min(socket.readableLength, 30_000)) as Buffer | null)?.length ?? 0
  }, 300)
  t.teardown(() => clearInterval(readOn))
  await ended
  t.equal(bytes, 150_000)
})

for (const [title, text] of [
  ['no line', HANDSHAKE],
  ['a line that is none', 'TUNNEL me 1 tcp\n'],
  ['too long a line', 'T'.repeat(5000)],
] as [string, string][]) {
  t.test(`dropped: ${title}`, async t => {
    const server = createServer(() => t.fail('the application was asked')).on('upgrade', () => t.fail('an upgrade'))
    const { tunnels, dial } = await open(t, server)
    const peer = await dial()
    peer.on('error', () => {}).resume()
    peer.write(text)
    await once(peer, 'close')
    t.equal(tunnels.open, 0)
  })
}

t.test('dropped: a peer that ends before its line', async t => {
  const { tunnels, dial } = await open(t, createServer())
  const peer = await dial()
  peer.resume().end('TUNNEL 127.')
  await once(peer, 'close')
  t.equal(tunnels.open, 0)
})

t.test('on the application’s own socket the line means nothing', async t => {
  const server = createServer(() => t.fail('the application was asked'))
  server.listen(join(scratchFolder(t), 'app'))
  await once(server, 'listening')
  const peer = connect(String(server.address()))
  peer.write(`TUNNEL 203.0.113.7 1 tcp\n${HANDSHAKE}`)
  t.match(String((await once(peer, 'data'))[0]), /^HTTP\/1\.1 400 /)
  peer.destroy()
  server.close()
})
