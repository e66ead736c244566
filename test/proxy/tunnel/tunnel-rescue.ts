/**
 * WebSocket handshakes that end before an answer: of a worker that dies, which are rescued as a GET is, and of an application that gives none, which are not.
 */

import { once } from 'node:events'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { FRAME, pongFrame } from '../../../kit/link/frames.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { FakeWorker } from '../fixtures/fake-worker.js'
import { ForeignServer, toUpstreams } from '../fixtures/foreign-server.js'
import { request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { hello, signal, tick } from '../fixtures/signal.js'

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]
const HANDSHAKE = request('GET', '/ws', UPGRADE)
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** An application that gets the bare socket of each handshake. */
function rawServer(onUpgrade: (socket: Socket) => void): Server {
  return createHttpServer(hello).on('upgrade', (_, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end())
    onUpgrade(socket as Socket)
  })
}

const switches = () => rawServer(socket => void socket.write(SWITCH))

/** A worker that is played by hand, also where its tunnels lead. */
async function fakeWorker(
  t: Test,
  rig: Rig,
  workerId: number,
  onTunnel: (socket: Socket) => void,
): Promise<FakeWorker> {
  const worker = await FakeWorker.open(t, workerId)
  const server = createServer(socket => {
    socket.on('error', () => {}).once('data', () => onTunnel(socket))
  })
  server.listen(worker.address.tunnelPath)
  await once(server, 'listening')
  t.teardown(() => void server.close())
  await rig.connect(worker.address)
  return worker
}

function inFlight(rig: Rig): number {
  return rig.lifecycle.workers.dispatcher.loads().reduce((sum, load) => sum + load.inFlight, 0)
}

/** The client's tunnel is open; ends it. */
async function closeTunnel(rig: Rig, lines: number): Promise<void> {
  for (const socket of rig.sockets) socket.destroy()
  await rig.expectLines(lines)
  while (inFlight(rig) > 0) await tick()
}

const silences: [title: string, said: string][] = [
  ['it has said nothing', ''],
  ['it has begun its head', 'HTTP/1.1 101 Swit'],
  ['it has said something else before', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
]
for (const [title, said] of silences) {
  t.test(`the worker dies: ${title}`, async t => {
    await withRig(t, {}, async rig => {
      const asked = signal<void>()
      const mortal = await rig.worker(
        rawServer(socket => {
          if (said === '') asked.arrive()
          else socket.write(said, () => asked.arrive())
        }),
      )
      const client = await rig.client()
      client.send(HANDSHAKE)
      await asked.arrived
      await rig.worker(switches())
      mortal.kill()
      t.equal((await client.answer()).status, 101)
      await closeTunnel(rig, 1)
      t.match(rig.log.entries, [{ status: 101, slot: 2, attempts: 2 }])
    })
  })
}

t.test('its tunnels end before its link', async t => {
  await withRig(t, {}, async rig => {
    const hungUp = signal<void>()
    const worker = await fakeWorker(t, rig, 1, socket => {
      worker.pongs = false
      socket.destroy()
      hungUp.arrive()
    })
    const client = await rig.client()
    client.send(HANDSHAKE)
    await hungUp.arrived
    await worker.has(FRAME.ping, 1)
    await rig.worker(switches())
    worker.die()
    t.equal((await client.answer()).status, 101)
    await closeTunnel(rig, 1)
    t.match(rig.log.entries, [{ status: 101, attempts: 2 }])
  })
})

t.test('a pong to a ping from before proves nothing', async t => {
  await withRig(t, {}, async rig => {
    const hungUp = signal<void>()
    const worker = await fakeWorker(t, rig, 1, socket => {
      socket.destroy()
      hungUp.arrive()
    })
    worker.pongs = false
    rig.lifecycle.workers.dispatcher.links[0]?.ping(monotonicMs())
    const [first] = await worker.has(FRAME.ping, 1)
    const client = await rig.client()
    client.send(HANDSHAKE)
    await hungUp.arrived
    for (let turn = 0; turn < 20; turn++) await tick()
    worker.say(pongFrame(first?.id ?? 0, 1))
    await worker.has(FRAME.ping, 2)
    await rig.worker(switches())
    worker.die()
    t.equal((await client.answer()).status, 101)
    await closeTunnel(rig, 1)
  })
})

const refusals: [title: string, answer: (socket: Socket) => void, message: RegExp][] = [
  ['hangs up', socket => void socket.destroy(), /the application gave no response/],
  ['ends', socket => void socket.end(), /the application gave no response/],
  ['ends in its head', socket => void socket.end('HTTP/1.1 101'), /something that is not HTTP/],
  ['says something else', socket => void socket.write('SSH-2.0\r\n\r\n'), /something that is not HTTP/],
]
for (const [title, answer, message] of refusals) {
  t.test(`the application ${title}, and its worker lives`, async t => {
    let others = 0
    const other = rawServer(socket => {
      others += 1
      socket.write(SWITCH)
    })
    await withRig(t, { workers: [rawServer(answer)] }, async rig => {
      const client = await rig.client()
      client.send(HANDSHAKE)
      const answered = client.answer()
      await rig.worker(other)
      const { status, body, fields } = await answered
      t.match([status, body.toString(), fields.connection], [502, message, 'keep-alive'])
      t.equal(others, 0, 'nobody else is asked')
      client.send(request('GET', '/'))
      t.equal((await client.answer()).status, 200, 'and the connection is good')
      await rig.expectLines(2)
      t.equal(inFlight(rig), 0)
    })
  })
}

/** Workers that die of each handshake; in the order in which they have got one. */
async function killers(rig: Rig, count: number): Promise<number[]> {
  const asked: number[] = []
  for (let made = 0; made < count; made++) {
    const worker = await rig.worker(
      rawServer(() => {
        asked.push(worker.address.workerId)
        setImmediate(() => worker.kill())
      }),
    )
  }
  return asked
}

t.test('a handshake that workers die of is sent twice', async t => {
  await withRig(t, { settings: { quarantineDeaths: 2 } }, async rig => {
    const asked = await killers(rig, 3)
    const client = await rig.client()
    client.send(HANDSHAKE)
    while (asked.length < 2) await tick()
    for (const workerId of asked) rig.lifecycle.workers.gone(workerId, 'crashed')
    t.match(await client.answer(), { status: 502, body: /worker died/ })
    t.equal(asked.length, 2)
    client.send(HANDSHAKE)
    t.match(await client.answer(), { status: 503, body: /died of this request/ }, 'and then held back')
    t.equal(asked.length, 2)
    await rig.expectLines(2)
  })
})

t.test('one whose workers are killed by somebody is sent until it is answered', async t => {
  await withRig(t, {}, async rig => {
    const asked = await killers(rig, 4)
    const client = await rig.client()
    client.send(HANDSHAKE)
    for (let told = 0; told < 4; ) {
      await tick()
      for (; told < asked.length; told++) rig.lifecycle.workers.gone(asked[told] ?? 0, 'killed')
    }
    await rig.worker(switches())
    t.equal((await client.answer()).status, 101)
    await closeTunnel(rig, 1)
    t.match(rig.log.entries, [{ status: 101, attempts: 5 }])
  })
})

t.test('the client leaves while nobody knows', async t => {
  await withRig(t, {}, async rig => {
    const worker = await fakeWorker(t, rig, 1, socket => {
      worker.pongs = false
      socket.destroy()
    })
    const client = await rig.client()
    client.send(HANDSHAKE)
    await worker.has(FRAME.ping, 1)
    client.socket.resetAndDestroy()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 499, attempts: 1 }])
    t.equal(inFlight(rig), 0)
    worker.die()
    while (rig.lifecycle.workers.dispatcher.links.length > 0) await tick()
  })
})

t.test('a foreign upstream hangs up', async t => {
  const silent = await ForeignServer.raw(t, socket => void socket.destroy())
  const other = await ForeignServer.raw(t, socket => void socket.write(SWITCH))
  await withRig(t, { settings: toUpstreams(silent, other) }, async rig => {
    const client = await rig.client()
    client.send(HANDSHAKE)
    t.equal((await client.answer()).status, 101, 'another one is asked')
    client.socket.destroy()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 101, attempts: 2 }])
  })
  await withRig(t, { settings: toUpstreams(silent) }, async rig => {
    const client = await rig.client()
    client.send(HANDSHAKE)
    t.match(await client.answer(), { status: 502, body: /broke off while it had the request/ })
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 502, attempts: 2 }])
  })
})
