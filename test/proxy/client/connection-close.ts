/**
 * Whoever is going to close a connection says so in the head of the answer (RFC 9112 §9.6), and a connection whose answer has not said it answers its next
 * request: after early answers of applications, foreign upstreams and the proxy itself, and while the proxy goes away.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { Agent, request as ask, type RequestListener, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import { withClose } from '../../../proxy/exchange/response-pieces.js'
import { ForeignServer, toUpstreams } from '../fixtures/foreign-server.js'
import { type RawClient, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { signal, tick } from '../fixtures/signal.js'

const LONG_BYTES = 300_000
const LENGTH = [`Content-Length: ${LONG_BYTES}`]
const CHUNKED = ['Transfer-Encoding: chunked']
const compression = { httpAutoGzip: true, gzipTypes: ['text/plain'], gzipMinLengthBytes: 1 }

/** None of them reads the body. */
const early: RequestListener = (asked, response) => {
  response.statusCode = 401
  response.setHeader('Content-Type', 'text/plain')
  if (asked.url === '/bytes') response.end(Buffer.alloc(20_000))
  else if (asked.url === '/own') response.setHeader('Connection', 'keep-alive').end('early')
  else if (asked.url === '/file') response.setHeader('X-Accel-Redirect', '/inside/a.txt').end()
  else if (asked.url === '/parts') {
    response.write('a part')
    setImmediate(() => response.end())
  } else response.end('early')
}

/** Sends a part of the request, reads the answer, sends the rest and another request: the statuses, 0 where there is none. */
async function goOn(client: RawClient, head: string, isChunked: boolean, bytes: number): Promise<string> {
  client.send(`${head}${isChunked ? `${bytes.toString(16)}\r\n` : ''}x`)
  const { status, fields } = await client.answer()
  client.send(Buffer.alloc(bytes - 1))
  if (isChunked) client.send('\r\n0\r\n\r\n')
  client.send(request('GET', '/'))
  const next = await client.answer()
  client.socket.destroy()
  return `${status} ${fields.connection} ${next.status}`
}

/** After the early answer: says `close` and means it, or answers on. */
function isHonest(played: string): boolean {
  return /^\d+ (close 0|keep-alive [2-5]\d\d)$/.test(played)
}

const cases: [title: string, url: string, bytes: number, expected: string][] = [
  ['little left', '/', 60_000, '401 keep-alive 401'],
  ['much left', '/', LONG_BYTES, '401 close 0'],
  ['much left, its own Connection', '/own', LONG_BYTES, '401 close 0'],
]
for (const compressed of [false, true]) {
  for (const [title, url, bytes, expected] of cases) {
    t.test(`an application answers early: ${title}${compressed ? ', compressed' : ''}`, async t => {
      await withRig(t, { settings: compressed ? compression : {}, workers: [early] }, async rig => {
        const head = request('POST', url, [`Content-Length: ${bytes}`, 'Accept-Encoding: gzip'])
        t.equal(await goOn(await rig.client(), head, false, bytes), expected)
        await rig.expectLines(expected.endsWith(' 0') ? 1 : 2)
      })
    })
  }
}

t.test('an answer that has begun as one of many keeps the connection, however much of the body is left', async t => {
  for (const [fields, isChunked] of [
    [LENGTH, false],
    [CHUNKED, true],
  ] as const) {
    await withRig(t, { workers: [early] }, async rig => {
      const head = request('POST', '/parts', [...fields])
      t.equal(await goOn(await rig.client(), head, isChunked, LONG_BYTES), '401 keep-alive 401')
      await rig.expectLines(2)
    })
  }
})

t.test('early answers of every kind', async t => {
  const settings = { fileRoots: { internal: [] as ProxySettings['fileRoots']['internal'], sendfile: [] } }
  await withRig(t, { settings, workers: [early] }, async rig => {
    const folder = join(rig.folder, 'www')
    mkdirSync(folder)
    writeFileSync(join(folder, 'a.txt'), 'a file')
    rig.lifecycle.apply({
      ...rig.settings,
      limitPostBytes: 400_000,
      fileRoots: { internal: [{ prefix: '/inside', folder }], sendfile: [] },
      routes: [
        { kind: 'static', prefix: '/static', folder },
        { kind: 'app', prefix: '/' },
      ],
    })
    let lines = 0
    for (const url of ['/', '/bytes', '/own', '/file', '/parts', '/static/a.txt', '/static/none', '/%zz']) {
      for (const [fields, isChunked] of [
        [LENGTH, false],
        [CHUNKED, true],
        [['Content-Length: 500000'], false],
      ] as const) {
        const bytes = fields[0] === 'Content-Length: 500000' ? 500_000 : LONG_BYTES
        const played = await goOn(await rig.client(), request('POST', url, [...fields]), isChunked, bytes)
        t.ok(isHonest(played), `${url} ${fields}: ${played}`)
        lines += played.endsWith(' 0') ? 1 : 2
      }
    }
    await rig.expectLines(lines)
  })
})

t.test('a foreign upstream answers early', async t => {
  const foreign = await ForeignServer.raw(t, socket => {
    socket.on('data', () => {})
    socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nearly')
  })
  await withRig(t, { settings: toUpstreams(foreign) }, async rig => {
    t.equal(await goOn(await rig.client(), request('POST', '/', LENGTH), false, LONG_BYTES), '401 close 0')
    t.equal(await goOn(await rig.client(), request('POST', '/', CHUNKED), true, LONG_BYTES), '401 close 0')
    const little = request('POST', '/', ['Content-Length: 1000'])
    t.equal(await goOn(await rig.client(), little, false, 1000), '401 keep-alive 401')
    await rig.expectLines(4)
  })
})

t.test('a foreign upstream begins its answer early', async t => {
  const headOut = signal<void>()
  let asked = 0
  const foreign = await ForeignServer.raw(t, socket => {
    asked += 1
    socket.on('data', () => {})
    socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nea')
    if (asked === 1) void headOut.arrived.then(() => socket.write('rly'))
    else socket.write('rly')
  })
  await withRig(t, { settings: toUpstreams(foreign) }, async rig => {
    const played = goOn(await rig.client(), request('POST', '/', LENGTH), false, LONG_BYTES)
    while (![...rig.sockets].some(socket => socket.bytesWritten > 0)) await tick()
    headOut.arrive()
    t.equal(await played, '401 keep-alive 401')
    await rig.expectLines(2)
  })
})

t.test("twenty connections of Node's own agent", async t => {
  await withRig(t, { workers: [early] }, async rig => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const play = (method: string, body: Buffer) =>
      new Promise<number | string | undefined>(resolve => {
        const asking = ask({ port: rig.port, agent, method, headers: { 'content-length': body.length } }, response => {
          response.resume().on('end', () => resolve(response.statusCode))
        })
        asking.on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
        asking.end(body)
      })
    const statuses = new Set<number | string | undefined>()
    for (let round = 0; round < 20; round++) {
      statuses.add(await play('POST', Buffer.alloc(LONG_BYTES)))
      statuses.add(await play('PUT', Buffer.alloc(10)))
    }
    t.same([...statuses], [401])
    agent.destroy()
    await rig.expectLines(40)
  })
})

function drain(rig: Rig): void {
  rig.lifecycle.draining = true
  for (const connection of rig.connections) connection.drain()
}

/** Each answer waits until `finish`. */
function waiting(): { listener: RequestListener; begun: Promise<ServerResponse> } {
  const begun = signal<ServerResponse>()
  return { listener: (_, response) => begun.arrive(response), begun: begun.arrived }
}

const inPieces = (response: ServerResponse) => {
  response.write('la')
  setImmediate(() => response.end('st'))
}
const goodbyes: [title: string, settings: Partial<ProxySettings>, finish: (response: ServerResponse) => void][] = [
  ['an answer', {}, response => response.end('last')],
  ['an answer with its own Connection', {}, response => response.setHeader('Connection', 'keep-alive').end('last')],
  ['an answer in pieces', {}, inPieces],
  ['a compressed answer', compression, response => response.setHeader('Content-Type', 'text/plain').end('last')],
]
for (const isForeign of [false, true]) {
  for (const [title, settings, finish] of goodbyes) {
    t.test(`a proxy that goes away says so: ${title} of ${isForeign ? 'an upstream' : 'a worker'}`, async t => {
      const { listener, begun } = waiting()
      await withGoodbye(t, settings, listener, isForeign, async rig => {
        const client = await rig.client()
        client.send(request('GET', '/', ['Accept-Encoding: gzip']))
        const response = await begun
        drain(rig)
        finish(response)
        const { fields, head, whole } = await client.answer()
        t.match({ fields, whole }, { fields: { connection: 'close' }, whole: true })
        t.notMatch(head, /keep-alive/i)
        t.equal(await client.rest(), '')
        await rig.expectLines(1)
      })
    })
  }
  t.test(`one that could not say so any more answers once more: ${isForeign ? 'an upstream' : 'a worker'}`, async t => {
    const begun = signal<ServerResponse>()
    const listener: RequestListener = (asked, response) => {
      if (asked.url === '/next') return void response.end('next')
      response.write('la')
      begun.arrive(response)
    }
    await withGoodbye(t, {}, listener, isForeign, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      const response = await begun.arrived
      const answer = client.answer()
      while (rig.lifecycle.workers.dispatcher.exchanges().some(({ responseBegun }) => !responseBegun)) await tick()
      const [socket] = rig.sockets
      while (socket?.bytesWritten === 0) await tick()
      drain(rig)
      response.end('st')
      t.match(await answer, { fields: { connection: 'keep-alive' }, body: Buffer.from('last'), whole: true })
      client.send(request('GET', '/next'))
      t.match(await client.answer(), { status: 200, fields: { connection: 'close' } })
      t.equal(await client.rest(), '')
      await rig.expectLines(2)
    })
  })
}

async function withGoodbye(
  t: Test,
  settings: Partial<ProxySettings>,
  listener: RequestListener,
  isForeign: boolean,
  use: (rig: Rig) => Promise<void>,
): Promise<void> {
  if (!isForeign) return withRig(t, { settings, workers: [listener] }, use)
  const foreign = await ForeignServer.http(t, listener)
  await withRig(t, { settings: { ...settings, ...toUpstreams(foreign) } }, use)
}

t.test('a head that is to say close', async t => {
  const cases: [title: string, head: string, expected: string | null][] = [
    ['as Node prints it', 'Connection: keep-alive\r\nKeep-Alive: timeout=5', 'A: b\r\nConnection: close'],
    ['in small letters', 'connection:keep-alive', 'A: b\r\nConnection: close'],
    ['with other options', 'Connection: Upgrade, Keep-Alive', 'A: b\r\nConnection: close, Upgrade'],
    ['in two lines', 'Connection: x\r\nConnection: keep-alive', 'A: b\r\nConnection: close, x'],
    ['without one', 'X: y', 'A: b\r\nX: y\r\nConnection: close'],
    ['that says so', 'Connection: close', null],
    ['that says so among others', 'Connection: upgrade,Close', null],
  ]
  for (const [title, lines, expected] of cases) {
    const bytes = Buffer.from(`...HTTP/1.1 200 OK\r\nA: b\r\n${lines}\r\n\r\nbody...`, 'latin1')
    const said = withClose(bytes, 3, bytes.length - 3)
    t.equal(said?.latin1Slice() ?? null, expected === null ? null : `HTTP/1.1 200 OK\r\n${expected}\r\n\r\nbody`, title)
  }
  t.equal(withClose(Buffer.from('HTTP/1.1 200 OK\r\n'), 0, 17), null, 'that has no end')
})
