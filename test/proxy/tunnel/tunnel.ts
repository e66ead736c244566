/** WebSocket: the handshake to the worker's own socket, the tunnel behind it, refusals, ends. */

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { type RawClient, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

/** An application with a WebSocket echo. */
function echoServer(onRequest: RequestListener = (_, response) => void response.end('plain')): Server {
  const server = createServer(onRequest)
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  return server
}

/** An application that handles its upgrades by hand. */
function rawServer(onUpgrade: (socket: Socket, early: Buffer) => void): Server {
  return createServer().on('upgrade', (_, socket, early) => {
    // As every WebSocket server does.
    socket.on('error', () => {}).on('end', () => socket.end())
    onUpgrade(socket as Socket, early)
  })
}

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

function tunnels(rig: Rig): number {
  return rig.lifecycle.workers.dispatcher.loads().reduce((sum, load) => sum + load.inFlight, 0)
}

async function webSocket(rig: Rig): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws`)
  await once(socket, 'open')
  return socket
}

t.test('messages both ways, of every size', async t => {
  await withRig(t, { workers: [echoServer()] }, async rig => {
    const socket = await webSocket(rig)
    for (const size of [0, 1, 125, 126, 65_536, 5_000_000]) {
      const message = Buffer.alloc(size, 'm')
      socket.send(message)
      const [answer] = (await once(socket, 'message')) as [Buffer]
      t.ok(answer.equals(message), `${size} bytes`)
    }
    t.equal(tunnels(rig), 1)
    t.equal(rig.lifecycle.workers.tunnels.count, 1)
    socket.close(4000, 'bye')
    const [code] = await once(socket, 'close')
    t.equal(code, 4000, 'the closing handshake passes')
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ title: 'GET /ws', status: 101, slot: 1 }])
    t.ok((rig.log.entries[0]?.sentBytes ?? 0) > 5_000_000, `${rig.log.entries[0]?.sentBytes} bytes in the log`)
    t.equal(rig.lifecycle.workers.tunnels.count, 0)
    while (tunnels(rig) > 0) await tick()
  })
})

t.test('the application sees the handshake as it came, and who asked', async t => {
  const server = createServer()
  const asked = once(server, 'upgrade')
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws?a=b', UPGRADE.with(1, 'upgrade: WebSocket')))
    const [incoming, socket] = await asked
    t.equal(incoming.url, '/ws?a=b')
    t.match(incoming.headers, {
      host: 'test',
      upgrade: 'WebSocket',
      'x-forwarded-for': '127.0.0.1',
      connection: /^Upgrade\b/,
    })
    t.equal(incoming.headers['sec-websocket-key'], 'dGhlIHNhbXBsZSBub25jZQ==')
    socket.write(SWITCH)
    t.equal((await client.answer()).head, SWITCH, 'and its answer is passed on as it is')
    client.socket.resetAndDestroy()
    await rig.expectLines(1)
  })
})

t.test('an early byte does not reach the worker before its 101', async t => {
  let socket: Socket | undefined
  let received = ''
  const server = rawServer((taken, early) => {
    socket = taken
    received += early.latin1Slice()
    taken.on('data', chunk => {
      received += chunk.latin1Slice()
    })
  })
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(`${request('GET', '/ws', UPGRADE)}early ${request('GET', '/smuggled')}`)
    while (socket === undefined) await tick()
    client.send('birds')
    for (let wait = 0; wait < 30; wait++) await tick()
    t.equal(received, '')
    socket.write(SWITCH)
    t.equal((await client.answer()).status, 101)
    while (!received.endsWith('birds')) await tick()
    t.equal(received, `early ${request('GET', '/smuggled')}birds`, 'and then comes whole and in order')
    client.socket.destroy()
    await rig.expectLines(1)
  })
})

t.test('what is no WebSocket handshake is an ordinary request', async t => {
  const cases: [title: string, text: string][] = [
    [
      'h2c',
      request('GET', '/', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']),
    ],
    ['an unknown protocol', request('GET', '/', ['Connection: Upgrade', 'Upgrade: evil'])],
    ['several', request('GET', '/', ['Connection: Upgrade', 'Upgrade: websocket, h2c'])],
    ['not nominated', request('GET', '/', ['Upgrade: websocket'])],
    ['a POST', request('POST', '/', [...UPGRADE, 'Content-Length: 0'])],
    ['with a body', `${request('GET', '/', [...UPGRADE, 'Content-Length: 3'])}abc`],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ]
  for (const [title, text] of cases) {
    const application: RequestListener = (asked, response) => void response.end(String(asked.headers.upgrade))
    await withRig(t, { workers: [createServer(application).on('upgrade', socket => socket.destroy())] }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match(await client.answer(), { status: 200, body: Buffer.from('undefined') }, title)
      await rig.expectLines(1)
    })
  }
})

t.test('the end of one side is the end of the other', async t => {
  const cases: [title: string, end: (client: RawClient, worker: Socket, rig: Rig) => void][] = [
    ['the client closes', client => void client.socket.destroy()],
    ['the client resets', client => void client.socket.resetAndDestroy()],
    ['the client half-closes', client => void client.socket.end()],
    ['the worker closes', (_, worker) => void worker.destroy()],
    ['the worker ends', (_, worker) => void worker.end()],
    ['the proxy goes away', (_client, _worker, rig) => rig.lifecycle.workers.tunnels.destroyAll()],
  ]
  for (const [title, end] of cases) {
    let worker: Socket | undefined
    const server = rawServer(socket => {
      worker = socket
      socket.resume()
      socket.write(SWITCH)
    })
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/ws', UPGRADE))
      t.equal((await client.answer()).status, 101)
      const socket = worker as Socket
      const closed = once(socket, 'close')
      end(client, socket, rig)
      await closed
      await client.closed
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ status: 101 }], title)
      while (tunnels(rig) > 0) await tick()
    })
  }
})

t.test('what the application said before it closed arrives, however slowly it is read', async t => {
  const last = Buffer.alloc(20_000_000, 'x')
  const server = rawServer(socket => {
    socket.write(SWITCH)
    socket.end(last)
  })
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    t.equal((await client.answer()).status, 101)
    let length = 0
    for (let piece = await client.bytes(); piece.length > 0; piece = await client.bytes()) {
      length += piece.length
      client.socket.pause()
      await tick()
      client.socket.resume()
    }
    t.equal(length, last.length)
    await rig.expectLines(1)
  })
})

t.test('a worker that dies takes its tunnels with it', async t => {
  await withRig(t, {}, async rig => {
    const worker = await rig.worker(echoServer())
    const socket = await webSocket(rig)
    const closed = once(socket, 'close')
    worker.kill()
    t.equal((await closed)[0], 1006)
    await rig.expectLines(1)
  })
})

t.test('a handshake has a deadline', async t => {
  let worker: Socket | undefined
  const server = rawServer(socket => {
    worker = socket
  })
  await withRig(t, { settings: { harakiriMs: 150 }, workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    t.equal((await client.answer()).status, 504)
    if (!worker?.closed) await once(worker as Socket, 'close')
    t.match(rig.events, [{ name: 'request-harakiri', fields: { request: 'GET /ws' } }])
    t.equal(tunnels(rig), 0)
    client.send(request('GET', '/ws', UPGRADE))
    t.equal((await client.answer()).status, 504, 'and the connection is still good')
    await rig.expectLines(2)
  })
})

t.test('an open tunnel has none', async t => {
  await withRig(t, { settings: { harakiriMs: 1000 }, workers: [echoServer()] }, async rig => {
    const socket = await webSocket(rig)
    rig.lifecycle.sweep(monotonicMs() + 2000)
    socket.send('still here')
    t.equal(String((await once(socket, 'message'))[0]), 'still here')
    socket.terminate()
    await rig.expectLines(1)
  })
})

t.test('a client that goes away during the handshake', async t => {
  let worker: Socket | undefined
  const server = rawServer(socket => {
    worker = socket
  })
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    while (worker === undefined) await tick()
    const closed = once(worker, 'close')
    client.socket.resetAndDestroy()
    worker.resume()
    await closed
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 499 }])
    t.equal(tunnels(rig), 0)
  })
})

t.test('no worker, no tunnel', async t => {
  await withRig(t, { settings: { httpQueueTimeoutMs: 50 } }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    t.equal((await client.answer()).status, 503)
    await rig.expectLines(1)
  })
})

/** Makes the worker's tunnel socket one that nobody listens on. */
function hideTunnels(rig: Rig, slot: number): void {
  for (const { worker } of rig.lifecycle.workers.dispatcher.links)
    if (worker.slot === slot) worker.tunnelPath = '/nowhere'
}

t.test('a worker that cannot be reached is not the only one', async t => {
  await withRig(t, { workers: [echoServer(), echoServer()] }, async rig => {
    hideTunnels(rig, 1)
    const socket = await webSocket(rig)
    socket.send('found')
    t.equal(String((await once(socket, 'message'))[0]), 'found')
    socket.terminate()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 101, slot: 2, attempts: 2 }])
    while (tunnels(rig) > 0) await tick()
  })
})

t.test('no worker can be reached', async t => {
  await withRig(t, { workers: [echoServer(), echoServer()] }, async rig => {
    for (const slot of [1, 2]) hideTunnels(rig, slot)
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    t.equal((await client.answer()).status, 502)
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 200, 'and the connection is still good')
    await rig.expectLines(2)
    t.match(rig.log.entries, [{ status: 502, attempts: 4 }, { status: 200 }])
  })
})

t.test('the only worker cannot be reached, but its successor can', async t => {
  await withRig(t, { workers: [echoServer()] }, async rig => {
    hideTunnels(rig, 1)
    const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws`)
    while (rig.lifecycle.workers.dispatcher.queued === 0) await tick()
    rig.lifecycle.workers.dispatcher.retire(1)
    await rig.worker(echoServer())
    await once(socket, 'open')
    socket.terminate()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 101, slot: 2 }])
  })
})

t.test('the application sees who the client is', async t => {
  const server = createServer()
  const asked = once(server, 'upgrade')
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    const [incoming, socket] = await asked
    const { localPort } = client.socket
    t.match(incoming.socket, { remoteAddress: '127.0.0.1', remoteFamily: 'IPv4', remotePort: localPort })
    t.equal(incoming.socket, socket)
    socket.on('end', () => socket.end()).resume()
    client.socket.resetAndDestroy()
    await once(socket, 'close')
    await rig.expectLines(1)
  })
})

t.test('and for whom a trusted proxy speaks', async t => {
  const server = createServer()
  const asked = once(server, 'upgrade')
  await withRig(t, { workers: [server], settings: { trustedProxies: ['127.0.0.1'] } }, async rig => {
    const client = await rig.client()
    const said = ['X-Forwarded-For: 2001:db8::7', 'X-Forwarded-Proto: https', 'X-Request-Id: theirs']
    client.send(request('GET', '/ws', [...UPGRADE, ...said]))
    const [{ socket, headers }] = await asked
    t.match(socket, { remoteAddress: '2001:db8::7', remoteFamily: 'IPv6', encrypted: true })
    t.match(headers, { 'x-forwarded-for': '2001:db8::7, 127.0.0.1', 'x-request-id': 'theirs' })
    socket.on('end', () => socket.end()).resume()
    client.socket.resetAndDestroy()
    await once(socket, 'close')
    await rig.expectLines(1)
  })
})

t.test('heads before the answer', async t => {
  const server = rawServer(socket => {
    socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n')
    socket.end(SWITCH)
  })
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    const answer = await client.answer()
    t.equal(answer.status, 101)
    t.match(answer.interim, [/103 Early Hints/, /102 Processing/])
    client.socket.destroy()
    await rig.expectLines(1)
  })
})

t.test('heads before the answer that two clients could read differently', async t => {
  const heads = ['HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n', 'HTTP/1.0 103 Early Hints\r\n\r\n']
  for (const head of heads) {
    const server = rawServer(socket => {
      socket.write(head)
      socket.end(SWITCH)
    })
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/ws', UPGRADE))
      t.match(await client.answer(), { status: 502, interim: [] }, head)
      await rig.expectLines(1)
    })
  }
})

t.test('a client that ends its half during the handshake', async t => {
  let worker: Socket | undefined
  const server = rawServer(socket => {
    worker = socket
  })
  await withRig(t, { workers: [server] }, async rig => {
    const client = await rig.client(true)
    client.send(request('GET', '/ws', UPGRADE))
    while (worker === undefined) await tick()
    const closed = once(worker, 'close')
    client.socket.end()
    worker.resume()
    await closed
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 499 }])
    t.equal(tunnels(rig), 0)
  })
})
