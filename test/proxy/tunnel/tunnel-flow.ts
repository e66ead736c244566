/** How open tunnels end, and what is said then: `proxy/tunnel/tunnel-flow.ts` and the plans of `proxy/tunnel/tunnels.ts`. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { TunnelMetrics } from '../../../proxy/observe/tunnel-metrics.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { closeFrame } from '../../../proxy/tunnel/frame-boundary.js'
import { Tunnel } from '../../../proxy/tunnel/tunnel-flow.js'
import { countWrites } from '../../kit/fixtures/count-writes.js'
import { type RawClient, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { StuckSocket } from '../fixtures/stuck-socket.js'

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket']
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const HOUR_MS = 3_600_000

interface Heard {
  codes: [code: number, reason: string][]
}

/** An application with a WebSocket echo that remembers with which codes its sockets were closed. */
function echoServer(): Server & Heard {
  const server = Object.assign(createServer(), { codes: [] } as Heard)
  new WebSocketServer({ server }).on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('close', (code, reason) => void server.codes.push([code, reason.toString()]))
  })
  return server
}

async function webSocket(rig: Rig): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws`)
  await once(socket, 'open')
  return socket
}

async function closed(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return [code, reason.toString()]
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

async function settled(rig: Rig): Promise<void> {
  while (rig.lifecycle.workers.dispatcher.loads().some(({ inFlight }) => inFlight > 0)) await tick()
}

/** What was counted of ended tunnels. */
function endings(rig: Rig): Record<string, number> {
  const family = rig.metrics.tunnels.families(0).find(({ name }) => name === 'daimyo_tunnels_closed_total')
  return Object.fromEntries((family?.values ?? []).map(({ labels, value }) => [labels.reason, value]))
}

/** A tunnel whose upstream is the test. */
async function rawTunnel(rig: Rig, upgraded: Promise<unknown[]>): Promise<{ client: RawClient; upstream: Socket }> {
  const client = await rig.client()
  client.send(request('GET', '/ws', UPGRADE))
  const [, upstream] = (await upgraded) as [unknown, Socket]
  upstream.on('error', () => {}).on('end', () => upstream.end())
  upstream.write(SWITCH)
  t.equal((await client.answer()).status, 101)
  return { client, upstream }
}

async function withRawTunnel(
  t: Test,
  use: (rig: Rig, client: RawClient, upstream: Socket) => Promise<void>,
): Promise<void> {
  const server = createServer()
  const upgraded = once(server, 'upgrade')
  await withRig(t, { workers: [server] }, async rig => {
    const { client, upstream } = await rawTunnel(rig, upgraded)
    await use(rig, client, upstream)
    client.socket.destroy()
    await rig.expectLines(1)
    await settled(rig)
  })
}

t.test('a worker that is replaced: both sides see 1012', async t => {
  const server = echoServer()
  await withRig(t, { workers: [server] }, async rig => {
    const socket = await webSocket(rig)
    const end = closed(socket)
    rig.lifecycle.workers.tunnels.retire(1, 0)
    rig.lifecycle.workers.dispatcher.retire(1)
    rig.sweep()
    t.same(await end, [1012, 'service restart'])
    await rig.expectLines(1)
    await settled(rig)
    t.same(server.codes, [[1012, 'service restart']])
    t.same(rig.left, ['1 tunnels', '1'])
    t.same(endings(rig), { restart: 1 })
  })
})

t.test('the proxy goes away: both sides see 1001', async t => {
  const server = echoServer()
  await withRig(t, { workers: [server] }, async rig => {
    const socket = await webSocket(rig)
    const end = closed(socket)
    rig.lifecycle.workers.tunnels.closeAll(1000)
    t.same(await end, [1001, 'server stops'])
    await rig.expectLines(1)
    await settled(rig)
    t.same(server.codes, [[1001, 'server stops']])
    t.same(endings(rig), { stop: 1 })
  })
})

t.test('the ends are spread over the last fifth of the mercy', async t => {
  await withRig(t, { workers: [echoServer()] }, async rig => {
    const sockets: WebSocket[] = []
    for (let count = 0; count < 10; count++) sockets.push(await webSocket(rig))
    let ended = 0
    for (const socket of sockets) socket.on('close', () => ended++)
    const sinceMs = monotonicMs()
    rig.lifecycle.workers.tunnels.retire(1, HOUR_MS)
    // Between two goodbyes: the first is due as the last fifth begins.
    for (const [share, expected] of [
      [0.79, 0],
      [0.81, 1],
      [0.91, 6],
      [0.995, 10],
    ] as const) {
      rig.lifecycle.sweep(sinceMs + HOUR_MS * share)
      while (ended < expected) await tick()
      for (let wait = 0; wait < 20; wait++) await tick()
      t.equal(ended, expected, `at ${share}`)
    }
    await rig.expectLines(10)
    await settled(rig)
  })
})

t.test('one that opens while its worker is replaced ends with the others', async t => {
  const server = createServer()
  const upgraded = once(server, 'upgrade')
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    const [, upstream] = (await upgraded) as [unknown, Socket]
    rig.lifecycle.workers.tunnels.retire(1, 0)
    rig.lifecycle.workers.dispatcher.retire(1)
    upstream.on('error', () => {}).on('end', () => upstream.end())
    upstream.write(SWITCH)
    t.equal((await client.answer()).status, 101)
    rig.sweep()
    t.same(await client.bytes(4), closeFrame(1012, 'service restart'))
    client.socket.end()
    await client.closed
    await rig.expectLines(1)
    await settled(rig)
  })
})

t.test('the goodbye waits for the end of a frame, and nothing comes behind it', async t => {
  await withRawTunnel(t, async (rig, client, upstream) => {
    const message = Buffer.concat([Buffer.from([0x82, 126, 1, 0]), Buffer.alloc(256, 'm')])
    upstream.write(message.subarray(0, 100))
    let received = await client.bytes(100)
    rig.lifecycle.workers.tunnels.retire(1, 0)
    rig.sweep()
    upstream.write(message.subarray(100, 200))
    received = Buffer.concat([received, await client.bytes(100)])
    t.same(received, message.subarray(0, 200), 'not in the middle')
    upstream.write(Buffer.concat([message.subarray(200), message, message]))
    const goodbye = closeFrame(1012, 'service restart')
    t.same(await client.bytes(60 + goodbye.length), Buffer.concat([message.subarray(200), goodbye]))
    // The client’s answer is for the application.
    const heard = once(upstream, 'data')
    client.send(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]))
    t.same([...((await heard)[0] as Buffer)], [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4])
    upstream.end(message)
    t.equal(await client.rest(), '')
  })
})

t.test('an application that said goodbye itself is not interrupted', async t => {
  await withRawTunnel(t, async (rig, client, upstream) => {
    const goodbye = closeFrame(4000, 'its own')
    upstream.write(goodbye.subarray(0, 3))
    await client.bytes(3)
    rig.lifecycle.workers.tunnels.retire(1, 0)
    rig.sweep()
    upstream.end(goodbye.subarray(3))
    t.equal(await client.rest(), goodbye.subarray(3).latin1Slice())
  })
})

for (const [title, said] of [
  ['an application that hangs in the middle of a frame', Buffer.from([0x82, 100, 1])],
  ['peers that do not answer', Buffer.alloc(0)],
] as const) {
  t.test(`ended after a bound: ${title}`, async t => {
    await withRawTunnel(t, async (rig, client, upstream) => {
      if (said.length > 0) {
        upstream.write(said)
        await client.bytes(said.length)
      }
      upstream.resume()
      const gone = once(upstream, 'close')
      const sinceMs = monotonicMs()
      rig.lifecycle.workers.tunnels.retire(1, 0)
      rig.sweep()
      await Promise.all([client.closed, gone])
      t.ok(monotonicMs() - sinceMs >= 2900, 'not before')
    })
  })
}

t.test('nothing has passed for too long', async t => {
  const server = echoServer()
  await withRig(t, { settings: { wsIdleTimeoutMs: 1000 }, workers: [server] }, async rig => {
    const socket = await webSocket(rig)
    const end = closed(socket)
    const now = monotonicMs()
    for (let second = 1; second < 6; second++) {
      socket.ping()
      await once(socket, 'pong')
      rig.lifecycle.sweep(now + second * 1500)
    }
    t.equal(socket.readyState, WebSocket.OPEN, 'a ping counts')
    rig.lifecycle.sweep(now + 10_000)
    t.same(await end, [1001, 'idle'])
    await rig.expectLines(1)
    await settled(rig)
    t.same(endings(rig), { idle: 1 })
  })
})

t.test('what is counted', async t => {
  await withRig(t, { workers: [echoServer()] }, async rig => {
    const [one, other] = [await webSocket(rig), await webSocket(rig)]
    one.send('x'.repeat(1000))
    await once(one, 'message')
    one.close()
    await closed(one)
    other.terminate()
    await rig.expectLines(2)
    await settled(rig)
    const { opened, fromClientBytes, toClientBytes } = rig.metrics.tunnels
    t.equal(opened, 2)
    // Text with a header of four bytes, masked by four more, and a close frame each way.
    t.ok(fromClientBytes >= 1008 && fromClientBytes < 1030, `${fromClientBytes} bytes from clients`)
    t.ok(toClientBytes >= 1004 && toClientBytes < 1020, `${toClientBytes} bytes to clients`)
    t.equal(
      Object.values(endings(rig)).reduce((sum, count) => sum + count, 0),
      2,
    )
    t.same(
      rig.metrics.tunnels.families(7).map(({ name }) => name),
      ['daimyo_tunnels', 'daimyo_tunnels_opened_total', 'daimyo_tunnels_closed_total', 'daimyo_tunnel_bytes_total'],
    )
  })
})

t.test('a client that does not read stops the application', async t => {
  await withRawTunnel(t, async (_, client, upstream) => {
    client.socket.pause()
    const piece = Buffer.alloc(1 << 20, 0x81)
    let written = 0
    while (upstream.write(piece) && written < 200) {
      written++
      await tick()
    }
    t.ok(written < 200, `after ${written} MB`)
    client.socket.resume()
    await once(upstream, 'drain')
  })
})

t.test('an application that does not read stops the client', async t => {
  await withRawTunnel(t, async (_, client, upstream) => {
    upstream.pause()
    const piece = Buffer.alloc(1 << 20, 0x81)
    let written = 0
    while (client.socket.write(piece) && written < 200) {
      written++
      await tick()
    }
    t.ok(written < 200, `after ${written} MB`)
    upstream.resume()
    await once(client.socket, 'drain')
  })
})

/** As the sweeps a second later: one finds what was read since the one before. */
function sweepLater(rig: Rig): void {
  for (const laterMs of [1000, 1100]) rig.lifecycle.sweep(monotonicMs() + laterMs)
}

t.test('a worker is gone, and a process of its own keeps the connection', async t => {
  await withRawTunnel(t, async (rig, client, upstream) => {
    rig.lifecycle.workers.gone(2, 'crashed')
    sweepLater(rig)
    upstream.write('another one is gone')
    t.equal(String(await client.bytes(19)), 'another one is gone')
    upstream.write('last words')
    rig.lifecycle.workers.gone(1, 'crashed')
    rig.lifecycle.sweep(monotonicMs() + 900)
    t.equal(String(await client.bytes(10)), 'last words')
    const end = client.rest()
    sweepLater(rig)
    t.equal(await end, '')
    t.equal(upstream.destroyed, false, 'it has not ended it')
    await rig.expectLines(1)
    await settled(rig)
    t.same(endings(rig), { application: 1 })
  })
})

t.test('what a worker that is gone has said waits for a client that is slow', async t => {
  await withRawTunnel(t, async (rig, client, upstream) => {
    client.socket.pause()
    const piece = Buffer.alloc(1 << 20, 0x81)
    let written = 0
    while (upstream.write(piece)) written++
    for (let wait = 0; wait < 20; wait++) await tick()
    rig.lifecycle.workers.gone(1, 'killed')
    for (let look = 0; look < 3; look++) sweepLater(rig)
    client.socket.resume()
    t.equal((await client.bytes((written + 1) << 20)).length, (written + 1) << 20)
    const end = client.rest()
    sweepLater(rig)
    t.equal(await end, '')
  })
})

for (const [title, answer, rest] of [
  ['switches', SWITCH, ''],
  ['refuses, and does not say all of it', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno', 'no'],
] as const) {
  for (const isToldFirst of [false, true]) {
    t.test(`a worker that is gone ${title}, which is read ${isToldFirst ? 'afterwards' : 'before'}`, async t => {
      const server = createServer()
      const upgraded = once(server, 'upgrade')
      await withRig(t, { workers: [server] }, async rig => {
        const client = await rig.client()
        client.send(request('GET', '/ws', UPGRADE))
        const [, upstream] = (await upgraded) as [unknown, Socket]
        upstream.on('error', () => {}).on('end', () => upstream.end())
        if (isToldFirst) rig.lifecycle.workers.gone(1, 'crashed')
        upstream.write(answer)
        const head = (await client.bytes(12)).latin1Slice()
        if (!isToldFirst) rig.lifecycle.workers.gone(1, 'crashed')
        const end = client.rest()
        sweepLater(rig)
        const said = head + (await end)
        t.equal(said.slice(0, 12), answer.slice(0, 12))
        t.ok(said.endsWith(`\r\n\r\n${rest}`))
        upstream.destroy()
        await rig.expectLines(1)
        await settled(rig)
      })
    })
  }
}

t.test('the last words of a worker are kept for a client that has not taken them yet', async t => {
  const client = new StuckSocket({ allowHalfOpen: true })
  const upstream = Object.assign(new PassThrough(), { setTimeout: () => {}, destroySoon: () => upstream.destroy() })
  const isClosed = new Promise<void>(resolve => {
    const sides = {
      client: client.asSocket,
      early: Buffer.alloc(0),
      upstream: upstream as unknown as Socket,
      head: SWITCH,
      rest: Buffer.from('last words'),
    }
    new Tunnel(sides, 0, new TunnelMetrics(), resolve)
  })
  upstream.end()
  while (!client.writableEnded) await tick()
  for (let wait = 0; wait < 20; wait++) await tick()
  t.equal(client.destroyed, false)
  client.open()
  await isClosed
  t.equal(client.received, `${SWITCH}last words`)
})

/** A tunnel whose sides take nothing, as what an application and a client say is said to it. */
function stuckTunnel(): { tunnel: Tunnel; client: StuckSocket; upstream: StuckSocket; isClosed: Promise<void> } {
  const client = new StuckSocket({ allowHalfOpen: true })
  const upstream = new StuckSocket({ allowHalfOpen: true })
  let close = () => {}
  const isClosed = new Promise<void>(resolve => {
    close = resolve
  })
  const sides = {
    client: client.asSocket,
    early: Buffer.from('early'),
    upstream: upstream.asSocket,
    head: SWITCH,
    rest: Buffer.from('rest'),
  }
  return { tunnel: new Tunnel(sides, 0, new TunnelMetrics(), close), client, upstream, isClosed }
}

for (const [title, side] of [
  ['a client', 'client'],
  ['an application', 'upstream'],
] as const) {
  t.test(`tiny messages wait in few pieces: to ${title} that does not read`, async t => {
    const { tunnel, client, upstream, isClosed } = stuckTunnel()
    const stuck = side === 'client' ? client : upstream
    const writes = countWrites(stuck)
    let expected = side === 'client' ? `${SWITCH}rest` : 'early'
    for (let count = 0; stuck.writableLength < 12_000 && count < 12_000; count++) {
      const letter = String.fromCharCode(97 + (count % 26))
      if (side === 'client') upstream.emit('data', Buffer.from(letter))
      else tunnel.fromClient(Buffer.from(letter))
      expected += letter
    }
    t.ok(writes() < 10, `${writes()} writes wait in the socket`)
    // The last words come behind what was joined, and the end behind them.
    if (side === 'client') upstream.push(null)
    else client.push(null)
    for (const socket of [client, upstream]) socket.open()
    for (const socket of [client, upstream]) socket.resume()
    await once(stuck, 'finish')
    t.equal(stuck.received, expected)
    tunnel.destroy()
    await isClosed
  })
}

t.test('an application that trickles on, and does not read what a client has left, is given up', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const { tunnel, client, upstream, isClosed } = stuckTunnel()
  tunnel.fromClient(Buffer.from('nobody takes this'))
  client.destroy()
  await once(client, 'close')
  mock.timers.tick(59_000)
  upstream.push('.')
  t.equal(upstream.destroyed, false)
  mock.timers.tick(1000)
  t.equal(upstream.destroyed, true)
  await isClosed
})

t.test('tiny messages to a client that does not read stop the application no later than before', async t => {
  const { tunnel, client, upstream, isClosed } = stuckTunnel()
  let count = 0
  while (!upstream.isPaused() && count < 100_000) {
    upstream.emit('data', Buffer.from('x'))
    count += 1
  }
  t.ok(count < client.writableHighWaterMark + 4096, `after ${count} bytes`)
  client.open()
  while (upstream.isPaused()) await tick()
  tunnel.destroy()
  await isClosed
})
