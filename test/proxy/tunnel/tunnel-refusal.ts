/** A refused handshake is an ordinary answer, and the connection goes on where its end can be seen: `proxy/tunnel/tunnel-refusal.ts`. */

import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { isFramed } from '../../../proxy/tunnel/tunnel-refusal.js'
import { request } from '../fixtures/raw-client.js'
import { withRig } from '../fixtures/rig.js'

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']

/** An application that answers upgrades with these very bytes, and requests with `next`. */
function refusing(...pieces: string[]): Server {
  return createServer((_, response) => void response.end('next')).on('upgrade', (_, socket: Socket) => {
    socket.on('error', () => {})
    const [first = '', ...rest] = pieces
    socket.write(first)
    setImmediate(() => socket.end(rest.join('')))
  })
}

/** A server that keeps its connections as long as nobody asks it to close them. */
function plain(listener: RequestListener): Server {
  const server = createServer((asked, response) =>
    asked.url === '/next' ? void response.end('next') : listener(asked, response),
  )
  server.keepAliveTimeout = 0
  return server
}

const kept: [title: string, server: Server, status: number, body: string][] = [
  [
    '401 by hand',
    refusing('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nX-Sendfile: /srv/in\r\n\r\nwho?'),
    401,
    'who?',
  ],
  [
    'in two pieces',
    refusing('HTTP/1.1 403 For', 'bidden\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nno'),
    403,
    'no',
  ],
  ['its body later', refusing('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nno', ' way'), 403, 'no way'],
  ['chunked', refusing('HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nb', 'ad\r\n0\r\n\r\n'), 400, 'bad'],
  ['no body', refusing('HTTP/1.1 204 No Content\r\n\r\n'), 204, ''],
  ['an empty body', refusing('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'), 404, ''],
  ['bytes behind its end', refusing('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK'), 403, 'no'],
  ['no upgrade listener', plain((_, response) => void response.writeHead(200).end('plain')), 200, 'plain'],
  ['no upgrade listener, by length', plain((_, response) => void response.end('plain')), 200, 'plain'],
]
for (const [title, server, status, body] of kept) {
  t.test(`the connection goes on: ${title}`, async t => {
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/ws', UPGRADE))
      const answer = await client.answer()
      t.match(answer, { status, fields: { connection: 'keep-alive' } })
      t.equal(answer.body.toString(), body)
      client.send(request('GET', '/next'))
      t.equal((await client.answer()).body.toString(), 'next')
      await rig.expectLines(2)
      t.match(rig.log.entries, [{ status, slot: 1 }, { status: 200 }])
    })
  })
}

t.test('426 keeps the Upgrade that it names, and what was pipelined is answered behind it', async t => {
  const head = 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\n'
  await withRig(t, { workers: [refusing(`${head}old`)] }, async rig => {
    const client = await rig.client()
    client.send(`${request('GET', '/ws', UPGRADE)}${request('GET', '/next')}`)
    t.match(await client.answer(), { status: 426, fields: { connection: 'keep-alive, Upgrade', upgrade: 'websocket' } })
    t.equal((await client.answer()).body.toString(), 'next')
    await rig.expectLines(2)
  })
})

t.test('the connection ends with it: no length', async t => {
  await withRig(t, { workers: [refusing('HTTP/1.1 404 Not Found\r\n\r\nnot', ' here')] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', UPGRADE))
    const text = await client.rest()
    t.match(text, /^HTTP\/1\.1 404 Not Found\r\nConnection: close\r\n\r\nnot here$/)
    await rig.expectLines(1)
  })
})

t.test('the connection ends with it: the client wants that', async t => {
  await withRig(t, { workers: [refusing('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno')] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/ws', ['Connection: Upgrade, close', ...UPGRADE.slice(1)]))
    t.match(await client.answer(), { status: 404, fields: { connection: 'close' } })
    t.equal(await client.rest(), '')
    await rig.expectLines(1)
  })
})

const broken: [title: string, server: Server][] = [
  ['too short a body', refusing('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno')],
  ['half of its chunks', refusing('HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nno')],
  ['chunks that are none', refusing('HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n\r\n')],
]
for (const [title, server] of broken) {
  t.test(`the client sees that it is not whole: ${title}`, async t => {
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/ws', UPGRADE))
      t.match(await client.answer(), { status: 403, whole: false })
      await client.closed
      await rig.expectLines(1)
    })
  })
}

const noAnswers: [title: string, server: Server][] = [
  ['no HTTP', refusing('hello\r\n\r\n')],
  ['a status of its own', refusing('HTTP/1.1 1000 X\r\n\r\n')],
  ['nothing', refusing('')],
  ['a reset', createServer((_, response) => void response.end('next')).on('upgrade', (_, socket) => socket.destroy())],
  ['half a head', refusing('HTTP/1.1 101 Switching Protocols\r\n')],
  ['two lengths', refusing('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno')],
  ['hints without end', refusing('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17))],
]
for (const [title, server] of noAnswers) {
  t.test(`502, and the connection goes on: ${title}`, async t => {
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(`${request('GET', '/ws', UPGRADE)}${request('GET', '/next')}`)
      t.equal((await client.answer()).status, 502)
      t.equal((await client.answer()).body.toString(), 'next')
      await rig.expectLines(2)
    })
  })
}

t.test('a framing that can be believed', t => {
  const cases: [fields: string, expected: boolean][] = [
    ['', true],
    ['Content-Length: 0', true],
    ['content-length:12', true],
    ['Transfer-Encoding: Chunked', true],
    ['Content-Length: +5', false],
    ['Content-Length: 5, 5', false],
    ['Content-Length: 5\r\ncontent-length: 6', false],
    ['Transfer-Encoding: gzip, chunked', false],
    ['Transfer-Encoding: chunked\r\nContent-Length: 5', false],
  ]
  for (const [fields, expected] of cases) t.equal(isFramed(`HTTP/1.1 403 X\r\n${fields}\r\n\r\n`), expected, fields)
  t.end()
})
