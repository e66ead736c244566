/** A foreign upstream's answer: which are believed, and how they reach the client. */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ForeignServer, toUpstreams } from '../fixtures/foreign-server.js'
import { type RawAnswer, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { waitingBytes } from '../fixtures/waiting-bytes.js'

const OK = 'HTTP/1.1 200 OK\r\n'

async function withUpstream(
  t: Test,
  onHead: (socket: Socket, text: string) => void,
  use: (rig: Rig, upstream: ForeignServer) => Promise<void>,
): Promise<void> {
  const upstream = await ForeignServer.raw(t, onHead)
  await withRig(t, { settings: toUpstreams(upstream) }, rig => use(rig, upstream))
}

type Expected = Partial<RawAnswer> & { text?: string }

t.test('passes answers on, framed by us', async t => {
  const cases: [title: string, bytes: string, asked: string, expected: Expected, closes: boolean][] = [
    ['by length', `${OK}Content-Length: 2\r\n\r\nok`, request('GET', '/'), { text: 'ok' }, false],
    [
      'by length, and the upstream closes',
      `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nok`,
      request('GET', '/'),
      { text: 'ok' },
      false,
    ],
    [
      'chunked',
      `${OK}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n`,
      request('GET', '/'),
      { text: 'ok', fields: { 'transfer-encoding': 'chunked' } },
      false,
    ],
    [
      'until the end',
      `${OK}\r\nok`,
      request('GET', '/'),
      { text: 'ok', fields: { 'transfer-encoding': 'chunked' } },
      false,
    ],
    [
      'HTTP/1.0',
      'HTTP/1.0 200 OK\r\n\r\nok',
      request('GET', '/'),
      { text: 'ok', fields: { 'transfer-encoding': 'chunked' } },
      false,
    ],
    [
      'HEAD',
      `${OK}Content-Length: 77\r\n\r\n`,
      request('HEAD', '/'),
      { text: '', fields: { 'content-length': '77' } },
      false,
    ],
    [
      '204',
      'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
      request('GET', '/'),
      { status: 204, text: '' },
      false,
    ],
    [
      '304',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: "a"\r\n\r\n',
      request('GET', '/'),
      { status: 304, fields: { etag: '"a"', 'content-length': '9' } },
      false,
    ],
    [
      'chunked, to HTTP/1.0',
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      'GET / HTTP/1.0\r\n\r\n',
      { text: 'ok', fields: { connection: 'close' } },
      true,
    ],
    [
      'trailers',
      `${OK}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a\r\n\r\n`,
      request('GET', '/'),
      { text: 'ok', trailers: ['X-Sum: 7'], fields: { trailer: 'X-Sum' } },
      false,
    ],
    [
      'a status of its own',
      `HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n`,
      request('GET', '/'),
      { status: 299 },
      false,
    ],
    [
      'Latin-1',
      `${OK}X-Name: J\xfcrgen\r\nContent-Length: 0\r\n\r\n`,
      request('GET', '/'),
      { fields: { 'x-name': 'J\xfcrgen' } },
      false,
    ],
  ]
  for (const [title, bytes, asked, { text, ...expected }, closes] of cases) {
    await withUpstream(
      t,
      socket => void socket.end(bytes, 'latin1'),
      async rig => {
        const client = await rig.client()
        client.send(asked)
        const answer = await client.answer(asked.startsWith('HEAD'))
        t.match(answer, { status: 200, whole: true, ...expected }, title)
        if (text !== undefined) t.equal(answer.body.latin1Slice(), text, title)
        t.ok(answer.fields.date, `${title}: it has a date`)
        t.equal(answer.fields.connection, closes ? 'close' : 'keep-alive', title)
        if (closes) {
          t.notOk(answer.fields['transfer-encoding'], `${title}: no chunks`)
          await client.closed
          return rig.expectLines(1)
        }
        client.send(asked)
        t.match(
          await client.answer(asked.startsWith('HEAD')),
          { status: answer.status },
          `${title}: the connection goes on`,
        )
        await rig.expectLines(2)
      },
    )
  }
})

t.test('fields of one hop end here', async t => {
  const fields = [
    'Connection: keep-alive, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=9',
    'Proxy-Authenticate: Basic',
    'Upgrade: h2c',
    'X-End: 2',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Date: Mon, 01 Jan 2024 00:00:00 GMT',
    'Via: 1.1 inner',
  ]
  await withUpstream(
    t,
    socket => void socket.end(`${OK}${fields.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`),
    async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      const { head } = await client.answer()
      t.equal(
        head,
        `${OK}X-End: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nVia: 1.1 inner\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n`,
      )
      await rig.expectLines(1)
    },
  )
})

t.test('what is not to be believed is a 502', async t => {
  const body = 'Content-Length: 2\r\n\r\nok'
  const cases: [title: string, bytes: string][] = [
    ['no HTTP', 'hello\r\n\r\n'],
    ['another version', `HTTP/3.0 200 OK\r\n${body}`],
    ['two lengths', `${OK}Content-Length: 2\r\n${body}`],
    ['two different lengths', `${OK}Content-Length: 3\r\n${body}`],
    ['length and coding', `${OK}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ['another coding', `${OK}Transfer-Encoding: gzip\r\n\r\nok`],
    ['codings', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ['two codings', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ['a length with a sign', `${OK}Content-Length: +2\r\n\r\nok`],
    ['an endless length', `${OK}Content-Length: 99999999999999999999\r\n\r\nok`],
    ['status 099', `HTTP/1.1 099 Low\r\n${body}`],
    ['status 600', `HTTP/1.1 600 High\r\n${body}`],
    ['status 1000', `HTTP/1.1 1000 Higher\r\n${body}`],
    ['a status without digits', `HTTP/1.1 abc OK\r\n${body}`],
    ['a control character in a value', `${OK}X-Bad: a\x01b\r\n${body}`],
    ['NUL in a value', `${OK}X-Bad: a\0b\r\n${body}`],
    ['a bare CR in a value', `${OK}X-Bad: a\rSet-Cookie: b\r\n${body}`],
    ['a bare LF', `${OK}X-Bad: a\nSet-Cookie: b\r\n${body}`],
    ['a name with a space', `${OK}X Bad: a\r\n${body}`],
    ['no name', `${OK}: a\r\n${body}`],
    ['no colon', `${OK}X-Bad\r\n${body}`],
    ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['an interim answer with a length', `HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n${OK}${body}`],
    ['a bad interim answer', `HTTP/1.1 103 Early Hints\r\nLink: a\x01\r\n\r\n${OK}${body}`],
    ['a head without end', `${OK}${'X-Long: a\r\n'.repeat(10_000)}`],
    ['nothing', ''],
    ['half a head', `${OK}Content-Le`],
  ]
  for (const [title, bytes] of cases) {
    await withUpstream(
      t,
      socket => void socket.end(bytes, 'latin1'),
      async (rig, upstream) => {
        const client = await rig.client()
        client.send(request('POST', '/', ['Content-Length: 0']))
        const answer = await client.answer()
        t.match(answer, { status: 502, interim: [] }, title)
        t.notMatch(answer.head, /X-Bad|Set-Cookie/, title)
        client.send(request('POST', '/', ['Content-Length: 0']))
        t.equal((await client.answer()).status, 502, `${title}: the connection goes on`)
        t.equal(upstream.accepted, 2, `${title}: sent once each`)
        const told = rig.events.filter(({ name, fields }) => name === 'bad-answer' && fields.why !== '')
        const isBad = answer.body.includes('not HTTP')
        t.match(
          told,
          Array(isBad ? 2 : 0).fill({ fields: { request: 'POST /', mount: '/' } }),
          `${title}: the log says why`,
        )
        await rig.expectLines(2)
      },
    )
  }
})

t.test('a truncated body is seen to be truncated', async t => {
  const cases: [title: string, bytes: string, got: string][] = [
    ['by length', `${OK}Content-Length: 5\r\n\r\nabc`, 'abc'],
    ['chunked', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'abc'],
    ['within a chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nabc`, 'abc'],
    [
      'a length in the trailers',
      `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n`,
      'abc',
    ],
    ['a bad chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`, 'abc'],
  ]
  for (const [title, bytes, got] of cases) {
    for (const end of ['end', 'reset'] as const) {
      await withUpstream(
        t,
        socket =>
          socket.write(bytes, () => void (end === 'end' ? socket.end() : setImmediate(() => socket.resetAndDestroy()))),
        async (rig, upstream) => {
          const client = await rig.client()
          client.send(request('GET', '/'))
          const answer = await client.answer()
          // A reset may overtake what was said before it.
          if (end === 'end') t.match(answer, { status: 200, whole: false }, `${title}, ${end}`)
          if (end === 'end') t.equal(answer.body.latin1Slice(), got, `${title}, ${end}`)
          t.equal(answer.whole && answer.status === 200, false, `${title}, ${end}: not whole`)
          if (answer.status === 200) await client.closed
          if (answer.status === 200) t.equal(upstream.accepted, 1, `${title}, ${end}: not asked again`)
          await rig.expectLines(1)
        },
      )
    }
  }
})

t.test('what follows an answer poisons no other client', async t => {
  await withUpstream(
    t,
    socket => void socket.write(`${OK}Content-Length: 2\r\n\r\nok${OK}Content-Length: 4\r\n\r\nevil`),
    async rig => {
      for (let number = 1; number <= 3; number++) {
        const client = await rig.client()
        client.send(request('GET', `/${number}`))
        t.equal((await client.answer()).body.toString(), 'ok')
        await rig.expectLines(number)
      }
    },
  )
})

t.test('early hints pass', async t => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n'
  await withUpstream(
    t,
    socket => void socket.end(`${hints}${hints}${OK}Content-Length: 2\r\n\r\nok`),
    async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      const passed = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
      t.match(await client.answer(), { status: 200, interim: [passed, passed] })
      client.send('GET / HTTP/1.0\r\n\r\n')
      t.match(await client.answer(), { status: 200, interim: [] }, 'but not to HTTP/1.0')
      await rig.expectLines(2)
    },
  )
})

t.test('early hints without end wait for no client that does not read', async t => {
  const hint = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(1000)}>\r\n\r\n`
  const hints = 30_000
  await withUpstream(
    t,
    socket => {
      let said = 0
      const say = () => {
        while (said < hints) {
          said += 100
          if (!socket.write(hint.repeat(100))) return void socket.once('drain', say)
        }
        socket.end(`${OK}Content-Length: 2\r\n\r\nok`)
      }
      say()
    },
    async rig => {
      const client = await rig.client()
      client.socket.pause()
      client.send(request('GET', '/'))
      let held = 0
      const [proxySide] = rig.sockets
      while (rig.log.entries.length === 0) {
        held = Math.max(held, waitingBytes(proxySide))
        await new Promise(resolve => setImmediate(resolve))
      }
      t.ok(held > 0 && held < 512 * 1024, `${held} bytes wait in us`)
      client.socket.resume()
      t.match(await client.answer(), { status: 200, body: Buffer.from('ok') })
      await rig.expectLines(1)
    },
  )
})

t.test('a piece arrives at once, and a large body whole', async t => {
  const large = Buffer.alloc(3_000_000, 'l')
  let socket: Socket | undefined
  await withUpstream(
    t,
    taken => {
      socket = taken
      taken.write(`${OK}\r\nfirst`)
    },
    async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      t.match((await client.bytes(1)).latin1Slice(), /\r\n\r\n5\r\nfirst\r\n$/)
      socket?.end(large)
      const rest = await rig.log.reached(1).then(() => client.bytes(large.length))
      t.ok(rest.length > large.length)
      t.equal(rest.subarray(-5).latin1Slice(), '0\r\n\r\n')
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ status: 200, attempts: 1 }])
    },
  )
})

t.test('a slow client pauses the upstream', async t => {
  const piece = Buffer.alloc(64 * 1024)
  let sent = 0
  let isStuck: () => void = () => {}
  const stuck = new Promise<void>(resolve => {
    isStuck = resolve
  })
  const total = 64 * 1024 * 1024
  const pump = (socket: Socket) => {
    while (sent < total) {
      sent += piece.length
      if (!socket.write(piece)) {
        const timer = setTimeout(isStuck, 500)
        socket.once('drain', () => {
          clearTimeout(timer)
          pump(socket)
        })
        return
      }
    }
    socket.end()
  }
  await withUpstream(
    t,
    socket => {
      socket.write(`${OK}Content-Length: ${total}\r\n\r\n`)
      pump(socket)
    },
    async rig => {
      const client = await rig.client()
      client.socket.pause()
      client.send(request('GET', '/'))
      await stuck
      t.ok(sent < 16 * 1024 * 1024, `${sent} bytes are in the kernel and in us`)
      const [proxySide] = rig.sockets
      t.ok(waitingBytes(proxySide) < 512 * 1024, `${waitingBytes(proxySide)} of them in us`)
      let length = 0
      client.socket.resume()
      while (length < total) length += (await client.bytes()).length
      t.ok(length > total, 'all of it arrives')
      await rig.expectLines(1)
      if (rig.connections.size > 0) client.socket.destroy()
      if (!client.socket.closed) await once(client.socket, 'close')
    },
  )
})
