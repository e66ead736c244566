/** `ws` and Socket.IO work through the proxy as they do without it: all that they send, every way in which they end. */

import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { io, type Socket } from 'socket.io-client'
import t from 'tap'
import { type RawData, WebSocket } from 'ws'
import { ask } from './fixtures/asking.js'
import { type Serving, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

const app = `app = ${join(topFolder, 'test/applications/sockets.cjs')}`
const site = new WatchedSite(t, [app, 'processes = 1'])
const running = await site.serve()

async function webSocket(path: string): Promise<WebSocket> {
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}${path}`)
  await once(socket, 'open')
  return socket
}

async function nextMessage(socket: WebSocket): Promise<[Buffer, boolean]> {
  const [data, isBinary] = (await once(socket, 'message')) as [RawData, boolean]
  return [data as Buffer, isBinary]
}

/** Waits for the codes with which the application saw its sockets close. */
async function heard(count: number): Promise<number[]> {
  const codes: number[] = []
  await until('the application sees its sockets close', async () => {
    codes.push(...JSON.parse((await ask(running.url, '/codes')).body))
    return codes.length >= count
  })
  return codes
}

for (const path of ['/ws', '/deflate']) {
  t.test(`ws at ${path}`, async t => {
    const socket = await webSocket(path)
    t.equal(socket.extensions !== '', path === '/deflate', 'the extension is agreed upon where there is one')
    for (const message of [
      'text',
      '',
      Buffer.from([0, 255, 13, 10]),
      Buffer.alloc(1 << 20, 'rice'),
      '稲'.repeat(400_000),
    ]) {
      const answer = nextMessage(socket)
      socket.send(message)
      const [bytes, isBinary] = await answer
      t.ok(bytes.equals(Buffer.from(message)), `${message.length} of ${typeof message}`)
      t.equal(isBinary, typeof message !== 'string')
    }
    const whole = nextMessage(socket)
    for (const part of ['in ', 'three ']) socket.send(part, { fin: false })
    socket.ping('between the parts')
    t.equal(String((await once(socket, 'pong'))[0]), 'between the parts')
    socket.send('parts', { fin: true })
    t.equal((await whole)[0].toString(), 'in three parts')
    const end = once(socket, 'close')
    socket.send('close me')
    t.match(await end, [4001, /as you like/], 'the application’s code is seen')
    t.same(await heard(1), [4001])
  })
}

t.test('ws: codes that the client chooses, and clients that vanish', async t => {
  const polite = await webSocket('/ws')
  const end = once(polite, 'close')
  polite.close(4321, 'enough')
  t.match(await end, [4321])
  t.same(await heard(1), [4321])
  const { hostname, port } = new URL(running.url)
  const raw = connect({ host: hostname, port: Number(port) })
  const fields = ['Host: a', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
  raw.write(`GET /ws HTTP/1.1\r\n${fields.join('\r\n')}\r\nSec-WebSocket-Version: 13\r\n\r\n`)
  t.match(String((await once(raw, 'data'))[0]), /^HTTP\/1\.1 101 /)
  raw.resetAndDestroy()
  t.same(await heard(1), [1006], 'a reset is an end without a code')
})

t.test('ws: an application that destroys its socket', async t => {
  const socket = await webSocket('/destroy')
  const end = once(socket, 'close')
  socket.send('now')
  t.match(await end, [1006])
})

t.test('ws: a refusal', async t => {
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}/refuse`)
  const [error] = (await once(socket, 'error')) as [Error]
  t.match(error.message, /401/)
})

t.test('ws: the application sees the client’s own address', async t => {
  const { hostname, port } = new URL(running.url)
  let localPort = 0
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}/ws`, {
    createConnection: () => {
      const made = connect({ host: hostname, port: Number(port) })
      made.on('connect', () => {
        localPort = made.localPort ?? 0
      })
      return made
    },
  })
  await once(socket, 'open')
  const answer = nextMessage(socket)
  socket.send('who')
  t.equal((await answer)[0].toString(), `127.0.0.1 ${localPort}`)
  socket.terminate()
})

/** What Socket.IO can do, over one connection of it. */
async function useSocketIo(socket: Socket): Promise<void> {
  t.equal(await socket.emitWithAck('who'), '127.0.0.1', 'the client’s address')
  for (const data of ['text', { rice: [1, 2] }, 'x'.repeat(500_000)])
    t.same(await socket.emitWithAck('echo', data), data)
  const bytes = Buffer.alloc(300_000, 'b')
  t.ok(Buffer.from(await socket.emitWithAck('echo', bytes)).equals(bytes), 'bytes')
  const left = new Promise<string>(resolve => socket.once('disconnect', resolve))
  socket.emit('leave')
  t.equal(await left, 'io server disconnect')
}

function socketIo({ url }: Serving, transports: string[]): Socket {
  return io(url, { transports, reconnection: false, forceNew: true })
}

async function named(socket: Socket, event: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once(event, () => resolve())
    socket.once('connect_error', reject)
  })
}

for (const transport of ['polling', 'websocket']) {
  t.test(`Socket.IO over ${transport}`, async t => {
    const socket = socketIo(running, [transport])
    await named(socket, 'connect')
    t.equal(socket.io.engine.transport.name, transport)
    await useSocketIo(socket)
  })
}

t.test('Socket.IO that begins with polling and upgrades', async t => {
  const socket = socketIo(running, ['polling', 'websocket'])
  await named(socket, 'upgraded')
  t.equal(socket.io.engine.transport.name, 'websocket')
  await useSocketIo(socket)
})

t.test('it stops', async t => t.match(await site.end(running), { code: 0 }))

t.test('Socket.IO over WebSocket needs no sticky sessions', async t => {
  const two = new WatchedSite(t, [app, 'processes = 2'])
  const serving = await two.serve()
  const sockets = Array.from({ length: 8 }, () => socketIo(serving, ['websocket']))
  await Promise.all(sockets.map(socket => named(socket, 'connect')))
  await Promise.all(sockets.map(useSocketIo))
  t.match(await two.end(serving), { code: 0 })
})
