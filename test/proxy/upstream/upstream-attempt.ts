/** What a foreign upstream gets of a request, and that it gets no other one. */

import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import t from 'tap'
import type { Dispatcher } from 'undici'
import { WINDOW_BYTES } from '../../../kit/link/frames.js'
import type { Client } from '../../../proxy/exchange/client.js'
import { Exchange } from '../../../proxy/exchange/exchange.js'
import { isRefusal } from '../../../proxy/http/refusal.js'
import { parseRequestHead } from '../../../proxy/http/request-head.js'
import { UpstreamAttempt } from '../../../proxy/upstream/upstream-attempt.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'
import { ForeignServer, toUpstreams } from '../fixtures/foreign-server.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { withRig } from '../fixtures/rig.js'

/** Answers with what it got. */
const mirror: RequestListener = async (asked, response) => {
  let body = ''
  for await (const chunk of asked.setEncoding('latin1')) body += chunk
  response.end(JSON.stringify({ method: asked.method, url: asked.url, fields: asked.rawHeaders, body }))
}

function chunked(method: string, target: string, chunks: string[], trailers = '', fields: string[] = []): string {
  const body = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
  return `${request(method, target, ['Transfer-Encoding: chunked', ...fields])}${body}0\r\n${trailers}\r\n`
}

t.test('for whom a trusted proxy speaks, and the id on the answer', async t => {
  const upstream = await ForeignServer.http(t, mirror)
  const settings = {
    ...toUpstreams(upstream),
    trustedProxies: ['127.0.0.1'],
    requestIdAnswer: true,
    sticky: 'worker',
  }
  await withRig(t, { settings }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/', ['X-Forwarded-For: 192.0.2.1', 'X-Request-Id: theirs']))
    const { head, fields, body } = await client.answer()
    t.match(body.toString(), /"X-Forwarded-For","192\.0\.2\.1, 127\.0\.0\.1",.*"X-Request-Id","theirs","Via"/)
    t.match(head, /^HTTP\/1\.1 200 OK\r\nX-Request-Id: theirs\r\n/)
    t.equal(fields['set-cookie'], undefined, 'a foreign upstream is no worker to come back to')
    await rig.expectLines(1)
  })
})

t.test('target, Host and fields as received, and who asked', async t => {
  const path = join(scratchFolder(t), 'up.sock')
  for (const upstream of [await ForeignServer.http(t, mirror), await ForeignServer.http(t, mirror, path)]) {
    await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
      const client = await rig.client()
      const spoofed = [
        'X-Forwarded-For: 9.9.9.9',
        'Via: 1.0 outer',
        'X-A: J\xfcrgen',
        'x-a: 2',
        'Connection: X-Hop',
        'X-Hop: 1',
        'TE: trailers',
      ]
      client.send(request('GET', '/a%20b/c//d?e=f&%2F', spoofed))
      const got = JSON.parse((await client.answer()).body.toString())
      t.equal(got.url, '/a%20b/c//d?e=f&%2F')
      t.same(got.fields, [
        ...['host', 'test', 'connection', 'keep-alive', 'Via', '1.0 outer', 'X-A', 'J\xfcrgen', 'x-a', '2'],
        ...[
          'X-Forwarded-For',
          '127.0.0.1',
          'X-Forwarded-Proto',
          'http',
          'X-Forwarded-Host',
          'test',
          'X-Request-Id',
          got.fields.at(-3),
          'Via',
          '1.1 daimyo',
        ],
      ])
      client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      t.match((await client.answer()).body.toString(), /"Via","1\.0 daimyo"/)
      await rig.expectLines(2)
      t.equal(upstream.accepted, 1, 'one connection is kept')
      t.match(rig.log.entries, [{ status: 200, slot: 0, attempts: 1 }])
    })
  }
})

t.test('an upstream reads as many requests as the client gets answers', async t => {
  const inner = request('GET', '/smuggled')
  const cases: [title: string, text: string, body: string, framing: RegExp][] = [
    ['chunked DELETE', chunked('DELETE', '/', [inner]), inner, /transfer-encoding,chunked|content-length,\d/],
    ['chunked GET', chunked('GET', '/', [inner]), inner, /transfer-encoding,chunked|content-length,\d/],
    ['chunked OPTIONS', chunked('OPTIONS', '/', [inner]), inner, /transfer-encoding,chunked|content-length,\d/],
    ['chunked HEAD', chunked('HEAD', '/', [inner]), '', /./],
    [
      'chunked POST',
      chunked('POST', '/', ['a', inner, 'b']),
      `a${inner}b`,
      /transfer-encoding,chunked|content-length,\d/,
    ],
    ['chunked, with nothing', chunked('POST', '/', []), '', /content-length,0/],
    [
      'with trailers',
      chunked('POST', '/', ['abc'], 'X-Sum: 1\r\n', ['Trailer: X-Sum']),
      'abc',
      /^(?!.*(X-Sum|Trailer))/,
    ],
    ['GET with a length', requestWithBody('GET', '/', inner), inner, /content-length,\d/],
    ['DELETE with a length', requestWithBody('DELETE', '/', inner), inner, /content-length,\d/],
    ['POST with a length', requestWithBody('POST', '/', inner), inner, /content-length,\d/],
    ['POST with a length of 0', request('POST', '/', ['Content-Length: 0']), '', /content-length,0/],
    [
      'a nominated length',
      requestWithBody('POST', '/', inner, ['Connection: content-length']),
      inner,
      /content-length,\d/,
    ],
    [
      'a nominated coding',
      chunked('POST', '/', [inner], '', ['Connection: transfer-encoding']),
      inner,
      /transfer-encoding,chunked|content-length,\d/,
    ],
    [
      'an Upgrade that is none',
      requestWithBody('POST', '/', inner, ['Connection: Upgrade', 'Upgrade: h2c']),
      inner,
      /^(?!.*h2c)/,
    ],
  ]
  for (const [title, text, body, framing] of cases) {
    for (const split of [text.length, text.indexOf('\r\n\r\n') + 4, text.length - 3]) {
      const upstream = await ForeignServer.http(t, mirror)
      await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
        const client = await rig.client()
        client.send(text.slice(0, split))
        // undici sends a head together with the first bytes of its body.
        for (let wait = 0; wait < 10; wait++) await tick()
        client.send(text.slice(split))
        const isHead = text.startsWith('HEAD')
        const answer = await client.answer(isHead)
        t.equal(answer.status, 200, `${title}, split at ${split}`)
        if (!isHead) {
          const got = JSON.parse(answer.body.toString())
          t.equal(got.body, body, `${title}, split at ${split}`)
          t.match(String(got.fields), framing, title)
        }
        const next = await rig.client()
        next.send(request('GET', '/next'))
        t.equal(
          JSON.parse((await next.answer()).body.toString()).url,
          '/next',
          `${title}: the next client gets its own answer`,
        )
        t.same(upstream.asked.slice(1), ['GET /next'], `${title}: nothing was smuggled`)
        await rig.expectLines(2)
      })
    }
  }
})

t.test('what the parser refuses reaches no upstream', async t => {
  const upstream = await ForeignServer.http(t, mirror)
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const bad = [
      request('POST', '/', ['Content-Length: 3', 'Transfer-Encoding: chunked']),
      request('POST', '/', ['Transfer-Encoding: xchunked']),
      request('GET', '/', ['X: a\nY: b']),
      request('OPTIONS', '*'),
    ]
    for (const [index, text] of bad.entries()) {
      const client = await rig.client()
      client.send(text)
      t.equal((await client.answer()).status, 400, JSON.stringify(text))
      await rig.expectLines(index + 1)
    }
    t.same(upstream.asked, [])
  })
})

t.test('a body whose framing breaks does not end well for the upstream', async t => {
  const ended: string[] = []
  const upstream = await ForeignServer.http(t, asked => {
    asked.on('end', () => ended.push('end')).on('error', () => {})
    asked.on('aborted', () => ended.push('aborted')).resume()
  })
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const client = await rig.client()
    client.send(`${request('POST', '/', ['Transfer-Encoding: chunked'])}3\r\nabc\r\n`)
    while (upstream.asked.length === 0) await tick()
    client.send('zz\r\n')
    t.equal((await client.answer()).status, 400)
    while (ended.length === 0) await tick()
    t.same(ended, ['aborted'])
    await rig.expectLines(1)
  })
})

t.test('100 (Continue) is ours to say', async t => {
  const upstream = await ForeignServer.http(t, mirror)
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 3', 'Expect: 100-continue']))
    t.equal((await client.bytes()).latin1Slice(), 'HTTP/1.1 100 Continue\r\n\r\n')
    client.send('abc')
    const answer = await client.answer()
    t.match(answer, { status: 200, interim: [] })
    const got = JSON.parse(answer.body.toString())
    t.equal(got.body, 'abc')
    t.notMatch(String(got.fields), /expect/i)
    await rig.expectLines(1)
  })
})

t.test('a 100 that nobody has asked for', async t => {
  const GO_ON = 'HTTP/1.1 100 Continue\r\n\r\n'
  const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const post = requestWithBody('POST', '/', 'body')
  const cases: [title: string, text: string, said: string[], expected: object][] = [
    ['before the response', request('GET', '/'), [GO_ON + ok('here')], { status: 200, interim: [] }],
    ['by itself', request('GET', '/'), [GO_ON, ok('here')], { status: 200, interim: [] }],
    [
      'cut in two',
      request('GET', '/'),
      ['HTTP/1.1 10', `0 Continue\r\n\r\n${ok('here')}`],
      { status: 200, interim: [] },
    ],
    [
      'with fields',
      request('GET', '/'),
      [GO_ON.replace('\r\n', '\r\nX: y\r\n') + ok('here')],
      { status: 200, interim: [] },
    ],
    ['more than one', request('GET', '/'), [GO_ON.repeat(5) + ok('here')], { status: 200, interim: [] }],
    ['behind a body', post, [GO_ON + ok('here')], { status: 200, interim: [] }],
    ['to HEAD', request('HEAD', '/'), [GO_ON + ok('here').slice(0, -4)], { status: 200, interim: [] }],
    ['in a response', request('GET', '/'), [ok(GO_ON + GO_ON)], { status: 200, body: Buffer.from(GO_ON + GO_ON) }],
    [
      'among others',
      request('GET', '/'),
      [`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${GO_ON}${ok('here')}`],
      { status: 200, interim: ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'] },
    ],
    ['and no response', request('GET', '/'), [`${GO_ON}what\r\n\r\n`], { status: 502, interim: [] }],
  ]
  for (const [title, text, said, expected] of cases) {
    const upstream = await ForeignServer.raw(t, async socket => {
      for (const part of said) {
        socket.write(part)
        for (let turn = 0; turn < 5; turn++) await tick()
      }
    })
    await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match(await client.answer(text.startsWith('HEAD')), expected, title)
      await rig.expectLines(1)
    })
  }
})

t.test(
  'interim answers: those of one read leave together, and neither number nor size of them is without bound',
  async t => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    const fields = (count: number) => `HTTP/1.1 103 Early Hints\r\n${'a: b\r\n'.repeat(count)}\r\n`
    const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    // Each counts for its fields, too.
    const most = Math.floor(1024 ** 2 / 200)
    const cases: [title: string, said: string, status: number, count: number][] = [
      ['ten', hint.repeat(10), 200, 10],
      ['without end', hint.repeat(most + 500), 200, most],
      ['as many fields as may be', fields(128), 200, 1],
      ['one more', fields(129), 502, 0],
    ]
    for (const [title, said, status, count] of cases) {
      const upstream = await ForeignServer.raw(t, socket => void socket.write(said + ok))
      await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
        const client = await rig.client()
        client.send(request('GET', '/'))
        const answer = await client.answer()
        t.equal(answer.status, status, title)
        t.equal(answer.interim.length, count, title)
        await rig.expectLines(1)
      })
    }
  },
)

t.test('a connection on which a 100 came is used again, and not when one comes between two requests', async t => {
  const upstream = await ForeignServer.http(t, (asked, response) => {
    response.writeContinue()
    response.end(asked.url)
  })
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const client = await rig.client()
    for (const url of ['/a', '/b']) {
      client.send(request('GET', url))
      t.equal((await client.answer()).body.toString(), url)
    }
    t.equal(upstream.accepted, 1)
    const [socket] = upstream.sockets
    socket?.write('HTTP/1.1 100 Continue\r\n\r\n')
    await once(socket as Socket, 'close')
    client.send(request('GET', '/c'))
    t.equal((await client.answer()).body.toString(), '/c')
    t.equal(upstream.accepted, 2)
    await rig.expectLines(3)
  })
})

t.test('a body is received whole first where post-buffering says so', async t => {
  const upstream = await ForeignServer.http(t, mirror)
  await withRig(t, { settings: { ...toUpstreams(upstream), postBufferingBytes: 10 } }, async rig => {
    const client = await rig.client()
    client.send(`${request('POST', '/', ['Transfer-Encoding: chunked'])}3\r\nabc\r\n`)
    for (let wait = 0; wait < 30; wait++) await tick()
    t.equal(upstream.accepted, 0)
    client.send('0\r\n\r\n')
    t.match((await client.answer()).body.toString(), /"content-length","3".*"body":"abc"/)
    client.send(`${request('POST', '/', ['Transfer-Encoding: chunked'])}14\r\n${'x'.repeat(20)}\r\n`)
    while (upstream.asked.length < 2) await tick()
    client.send('1\r\ny\r\n0\r\n\r\n')
    t.match((await client.answer()).body.toString(), new RegExp(`"body":"${'x'.repeat(20)}y"`))
    await rig.expectLines(2)
  })
})

t.test('a slow upstream pauses the client', async t => {
  const total = 64 * 1024 * 1024
  let asked: IncomingMessage | undefined
  const upstream = await ForeignServer.http(t, (incoming, response) => {
    asked = incoming
    let length = 0
    incoming.pause().on('data', chunk => {
      length += chunk.length
    })
    incoming.on('end', () => response.end(String(length)))
  })
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', [`Content-Length: ${total}`]))
    const piece = Buffer.alloc(64 * 1024)
    const sent = await untilStuck(client.socket, piece, total)
    t.ok(sent < 16 * 1024 * 1024, `${sent} bytes are in the kernel and in us`)
    while (asked === undefined) await tick()
    asked.resume()
    for (let rest = sent; rest < total; rest += piece.length) {
      if (!client.socket.write(piece)) await once(client.socket, 'drain')
    }
    t.equal((await client.answer()).body.toString(), String(total), 'all of it arrives')
    await rig.expectLines(1)
  })
})

/** Writes until nothing has been taken for half a second; the bytes written. */
async function untilStuck(socket: Socket, piece: Buffer, total: number): Promise<number> {
  let sent = 0
  while (sent < total) {
    sent += piece.length
    if (socket.write(piece)) continue
    const isStuck = await Promise.race([
      once(socket, 'drain').then(() => false),
      once(AbortSignal.timeout(500), 'abort').then(() => true),
    ])
    if (isStuck) return sent
  }
  return sent
}

t.test('an early answer does not wait for the body', async t => {
  const upstream = await ForeignServer.http(t, (_, response) => void response.writeHead(413).end('too much'))
  await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
    const client = await rig.client()
    client.send(`${request('POST', '/', ['Content-Length: 10000000'])}some`)
    t.match(await client.answer(), { status: 413, body: Buffer.from('too much') })
    client.socket.destroy()
    await rig.expectLines(1)
  })
})

t.test('the upstream learns that a client is gone', async t => {
  const endings: [title: string, end: (socket: Socket) => void][] = [
    ['closed', socket => void socket.destroy()],
    ['reset', socket => void socket.resetAndDestroy()],
  ]
  for (const [title, end] of endings) {
    for (const text of [request('GET', '/'), `${request('POST', '/', ['Content-Length: 9'])}abc`]) {
      const upstream = await ForeignServer.http(t, () => {})
      await withRig(t, { settings: toUpstreams(upstream) }, async rig => {
        const client = await rig.client()
        client.send(text)
        while (upstream.asked.length === 0) await tick()
        const [socket] = upstream.sockets
        const closed = new Promise(resolve => socket?.once('close', resolve))
        end(client.socket)
        await closed
        await rig.expectLines(1)
        t.match(rig.log.entries, [{ status: 499 }], title)
        t.same(inFlight(rig.lifecycle.upstreams.families()), [0], `${title}: nothing is in flight`)
      })
    }
  }
})

function inFlight(families: { name: string; values: { value: number }[] }[]): number[] | undefined {
  return families.find(({ name }) => name === 'daimyo_upstream_requests')?.values.map(({ value }) => value)
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

/** A try whose body waits to be read, as by an upstream that takes none of it. */
function unreadAttempt() {
  let resumes = 0
  const client = {
    resumeBody: () => {
      resumes += 1
    },
  }
  const head = parseRequestHead(request('POST', '/', ['Content-Length: 1000000']).slice(0, -4))
  if (isRefusal(head)) throw new Error(head.reason)
  const exchange = new Exchange(head, client as unknown as Client, 0)
  const attempt = new UpstreamAttempt(exchange, { fileNamed() {}, complete() {}, cancelled() {}, failed() {} })
  let body: Readable | undefined
  const pool = {
    dispatch(options: { body: Readable }) {
      body = options.body
    },
  }
  attempt.start(pool as unknown as Dispatcher, 0)
  if (body === undefined) throw new Error('no body')
  let pushes = 0
  const push = body.push.bind(body)
  body.push = (...args) => {
    pushes += 1
    return push(...args)
  }
  return { attempt, exchange, body, pushes: () => pushes, resumes: () => resumes }
}

t.test('a body in tiny pieces that an upstream does not take is kept in few', async t => {
  const { attempt, exchange, body, pushes } = unreadAttempt()
  let said = ''
  let isTaken = true
  while (isTaken) {
    const piece = String.fromCharCode(97 + (said.length % 26))
    isTaken = attempt.sendBody(exchange, Buffer.from(piece))
    said += piece
    if (said.length % 1000 === 0) await tick()
  }
  t.equal(said.length, WINDOW_BYTES, 'a window of it')
  t.notOk(attempt.hasRoom(exchange))
  attempt.endBody()
  t.ok(pushes() < 60, `${pushes()} pieces`)
  let got = ''
  for await (const chunk of body.setEncoding('latin1')) got += chunk
  t.ok(got === said, 'all of it, in order')
})

t.test('an upstream that takes a body again gets what was kept, and asks for more', async t => {
  const { attempt, exchange, body, resumes } = unreadAttempt()
  for (let count = 0; count < WINDOW_BYTES; count++) attempt.sendBody(exchange, Buffer.from('x'))
  let got = 0
  body.on('data', (chunk: Buffer) => {
    got += chunk.length
  })
  while (got < WINDOW_BYTES) await tick()
  t.ok(attempt.hasRoom(exchange))
  t.ok(resumes() > 0)
  for (const piece of ['one', 'two', 'three']) t.ok(attempt.sendBody(exchange, Buffer.from(piece)))
  while (got < WINDOW_BYTES + 11) await tick()
  body.pause()
  for (const piece of ['four', 'five']) t.ok(attempt.sendBody(exchange, Buffer.from(piece)))
  await tick()
  body.resume()
  while (got < WINDOW_BYTES + 19) await tick()
  attempt.endBody()
  await once(body, 'end')
  t.equal(got, WINDOW_BYTES + 19)
})
