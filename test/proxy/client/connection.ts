/** One client's connection: order, framing, versions, when it stays and when it ends, deadlines. */

import { mkdirSync, writeFileSync } from 'node:fs'
import type { RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { Connection } from '../../../proxy/client/connection.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { StuckSocket } from '../fixtures/stuck-socket.js'
import { waitingBytes } from '../fixtures/waiting-bytes.js'

const echo: RequestListener = (asked, response) => {
  let body = ''
  asked.setEncoding('latin1')
  asked.on('data', chunk => {
    body += chunk
  })
  asked.on('end', () => response.end(`${asked.method} ${asked.url} ${body}`))
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

/** A static map beside the application, with files `/files/0` to `/files/9`. */
function addFiles(rig: Rig): void {
  const folder = join(rig.folder, 'www')
  mkdirSync(folder)
  for (let index = 0; index < 10; index++) writeFileSync(join(folder, String(index)), `file ${index}`)
  rig.lifecycle.apply({
    ...rig.settings,
    routes: [
      { kind: 'app', prefix: '/' },
      { kind: 'static', prefix: '/files', folder },
    ],
  })
}

t.test('20 pipelined requests of every kind are answered in order, however the bytes come', async t => {
  // The later ones are answered sooner.
  const application: RequestListener = (asked, response) => {
    const order = Number(asked.url?.slice(1))
    setTimeout(() => echo(asked, response), (20 - order) / 2)
  }
  for (const size of [1_000_000, 500, 7]) {
    await withRig(t, { workers: [application] }, async rig => {
      addFiles(rig)
      let text = ''
      const expected: string[] = []
      for (let index = 0; index < 20; index++) {
        const kind = index % 4
        if (kind === 0) text += request('GET', `/${index}`)
        else if (kind === 1) text += request('GET', `/files/${index % 10}`)
        else if (kind === 2) text += requestWithBody('POST', `/${index}`, `body ${index}`)
        else text += request('GET', '/files/none/')
        expected.push(
          ['200 GET ', '200 file ', '200 POST ', '404 404 '][kind] +
            ([`/${index} `, String(index % 10), `/${index} body ${index}`][kind] ?? 'Not Found: nothing is here\n'),
        )
      }
      // A folder that the map does not have is asked of the application, which has everything.
      for (let index = 3; index < 20; index += 4) expected[index] = '200 GET /files/none/ '
      const bytes = Buffer.from(`${text}GET / HTTP/1.1\r\nHost : x\r\n\r\n${request('GET', '/never')}`)
      const client = await rig.client()
      for (let at = 0; at < bytes.length; at += size) {
        client.send(bytes.subarray(at, at + size))
        if (size < 100) await tick()
      }
      for (const [index, line] of expected.entries()) {
        const answer = await client.answer()
        t.equal(`${answer.status} ${answer.body}`, line, `${index}, in pieces of ${size}`)
      }
      t.match(await client.answer(), { status: 400, fields: { connection: 'close' } })
      t.equal(await client.rest(), '', 'and nothing behind what was not believed')
      await rig.expectLines(21)
    })
  }
})

t.test('versions, methods and fields: how the answer is framed and whether the connection stays', async t => {
  const application: RequestListener = (asked, response) => {
    if (asked.url === '/length') response.writeHead(200, { 'Content-Length': 4 }).end('body')
    else if (asked.url === '/stream') {
      response.write('bo')
      response.end('dy')
    } else if (asked.url === '/close') response.writeHead(200, { Connection: 'close' }).end('body')
    else response.writeHead(Number(asked.url?.slice(1))).end()
  }
  const close = 'Connection: close'
  const keep = 'Connection: keep-alive'
  const cases: [title: string, text: string, framing: string, stays: boolean][] = [
    ['1.1', request('GET', '/length'), 'length', true],
    ['1.1 stream', request('GET', '/stream'), 'chunked', true],
    ['1.1 close', request('GET', '/length', [close]), 'length', false],
    ['1.1 stream, close', request('GET', '/stream', [close]), 'chunked', false],
    ['the application closes', request('GET', '/close'), 'chunked', false],
    ['HEAD', request('HEAD', '/length'), 'none', true],
    ['HEAD of a stream', request('HEAD', '/stream'), 'none', true],
    ['204', request('GET', '/204'), 'none', true],
    ['304', request('GET', '/304'), 'none', true],
    ['1.0', 'GET /length HTTP/1.0\r\n\r\n', 'length', false],
    ['1.0 keep-alive', `GET /length HTTP/1.0\r\n${keep}\r\n\r\n`, 'length', true],
    ['1.0 stream: never chunked', 'GET /stream HTTP/1.0\r\n\r\n', 'close', false],
    ['1.0 stream, keep-alive: ends all the same', `GET /stream HTTP/1.0\r\n${keep}\r\n\r\n`, 'close', false],
  ]
  for (const [title, text, framing, stays] of cases) {
    await withRig(t, { workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(text)
      const hasBody = framing !== 'none'
      const answer = await client.answer(!hasBody)
      t.equal(answer.body.toString(), hasBody ? 'body' : '', title)
      t.equal(answer.fields['transfer-encoding'], framing === 'chunked' ? 'chunked' : undefined, title)
      if (framing === 'length') t.equal(answer.fields['content-length'], '4', title)
      if (!stays) {
        t.equal(await client.rest(), '', `${title}: ends`)
        t.equal(answer.fields.connection, 'close', `${title}: and says so`)
      } else {
        client.send(request('GET', '/length'))
        t.equal((await client.answer()).body.toString(), 'body', `${title}: stays`)
      }
      await rig.expectLines(stays ? 2 : 1)
    })
  }
})

t.test('bodies and trailers arrive as they were sent', async t => {
  const application: RequestListener = (asked, response) => {
    let body = ''
    asked.on('data', chunk => {
      body += chunk
    })
    asked.on('end', () => response.end(JSON.stringify([body, asked.trailers, asked.rawTrailers, asked.complete])))
  }
  const chunked = request('POST', '/', ['Transfer-Encoding: chunked', 'Trailer: X-Sum'])
  const cases: [title: string, text: string, expected: unknown[]][] = [
    ['length', requestWithBody('POST', '/', 'abc'), ['abc', {}, [], true]],
    ['length 0', requestWithBody('POST', '/', ''), ['', {}, [], true]],
    ['no body', request('POST', '/'), ['', {}, [], true]],
    ['GET with a body', requestWithBody('GET', '/', 'abc'), ['abc', {}, [], true]],
    ['chunked', `${chunked}3\r\nabc\r\n0\r\n\r\n`, ['abc', {}, [], true]],
    [
      'trailers',
      `${chunked}3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n`,
      ['abc', { 'x-sum': '1, 2' }, ['X-Sum', '1', 'x-sum', '2'], true],
    ],
    ['trailers, no data', `${chunked}0\r\nX-Sum: 1\r\n\r\n`, ['', { 'x-sum': '1' }, ['X-Sum', '1'], true]],
  ]
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    for (const [title, text, expected] of cases) {
      client.send(text)
      t.same(JSON.parse((await client.answer()).body.toString()), expected, title)
    }
    await rig.expectLines(cases.length)
  })
})

t.test('trailers of an answer', async t => {
  const application: RequestListener = (_, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('abc')
    response.addTrailers({ 'X-Sum': '1' })
    response.end()
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.match(await client.answer(), { body: Buffer.from('abc'), trailers: ['X-Sum: 1'], whole: true })
    await rig.expectLines(1)
  })
})

t.test('Expect: 100-continue', async t => {
  const expect = request('POST', '/', ['Expect: 100-continue', 'Content-Length: 3'])
  await t.test('is answered when the application has the request', async t => {
    for (const [title, postBufferingBytes] of [
      ['as it comes', 0],
      ['buffered first', 1000],
      ['a full buffer', 2],
    ] as const) {
      await withRig(t, { settings: { postBufferingBytes }, workers: [echo] }, async rig => {
        const client = await rig.client()
        client.send(expect)
        t.equal((await client.bytes()).latin1Slice(), 'HTTP/1.1 100 Continue\r\n\r\n', title)
        client.send('abc')
        const answer = await client.answer()
        t.match(answer, { status: 200, body: Buffer.from('POST / abc'), interim: [] }, `${title}: and not twice`)
        await rig.expectLines(1)
      })
    }
  })
  await t.test('a client that does not wait needs none', async t => {
    await withRig(t, { settings: { postBufferingBytes: 1000 }, workers: [echo] }, async rig => {
      const client = await rig.client()
      client.send(`${expect}abc`)
      const answer = await client.answer()
      t.match(answer, { status: 200, body: Buffer.from('POST / abc') })
      t.ok(answer.interim.length <= 1)
      await rig.expectLines(1)
    })
  })
  await t.test('the application may decide', async t => {
    await withRig(t, {}, async rig => {
      const worker = await rig.worker((_, response) => void response.end('not this one'))
      worker.server.on('checkContinue', (asked, response) => {
        if (asked.url === '/no') response.writeHead(417).end()
        else {
          response.writeContinue()
          echo(asked, response)
        }
      })
      const client = await rig.client()
      client.send(expect)
      t.equal((await client.bytes()).latin1Slice(), 'HTTP/1.1 100 Continue\r\n\r\n')
      client.send('abc')
      t.equal((await client.answer()).body.toString(), 'POST / abc')
      client.send(expect.replace('POST /', 'POST /no'))
      t.match(await client.answer(), { status: 417, interim: [], fields: { connection: 'close' } })
      // For its body or for a request: nobody could tell.
      client.send(request('GET', '/'))
      t.equal(await client.rest(), '')
      await rig.expectLines(2)
    })
  })
  await t.test('a file does not want the body: the connection ends', async t => {
    await withRig(t, { workers: [echo] }, async rig => {
      addFiles(rig)
      const expecting = request('GET', '/files/1', ['Expect: 100-continue', 'Content-Length: 47'])
      for (const [title, text] of [
        ['one that is expected', expecting],
        ['a long one', request('GET', '/files/1', ['Content-Length: 900000'])],
        ['the first bytes of one', `${request('GET', '/files/1', ['Transfer-Encoding: chunked'])}4\r\nbody`],
      ] as const) {
        const client = await rig.client()
        client.send(text)
        t.match(await client.answer(), { status: 200, fields: { connection: 'close' } }, title)
        client.send(request('GET', '/'))
        t.equal(await client.rest(), '', title)
      }
      await rig.expectLines(3)
    })
  })
  await t.test('in HTTP/1.0 it is ignored', async t => {
    await withRig(t, { workers: [echo] }, async rig => {
      const client = await rig.client()
      client.send('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc')
      t.match(await client.answer(), { status: 200, interim: [] })
      await rig.expectLines(1)
    })
  })
  await t.test('another expectation is refused', async t => {
    await withRig(t, { workers: [echo] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/', ['Expect: 200-ok']))
      t.equal((await client.answer()).status, 417)
      await rig.expectLines(1)
    })
  })
  await t.test('another attempt does not say it again', async t => {
    await withRig(t, {}, async rig => {
      const mortal = await rig.worker(() => {})
      const client = await rig.client()
      client.send(expect.replace('POST', 'PUT'))
      t.equal((await client.bytes()).latin1Slice(), 'HTTP/1.1 100 Continue\r\n\r\n')
      await rig.worker(echo)
      mortal.kill()
      while (
        rig.metrics
          .families({ connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 })
          .find(each => each.name === 'daimyo_rescues_total')?.values.length === 0
      ) {
        await tick()
      }
      client.send('abc')
      t.match(await client.answer(), { status: 200, interim: [], body: Buffer.from('PUT / abc') })
      await rig.expectLines(1)
    })
  })
})

t.test('1xx answers come before the answer', async t => {
  const application: RequestListener = (_, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.end('body')
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    const answer = await client.answer()
    t.same(
      answer.interim.map(head => head.split('\r\n')[0]),
      ['HTTP/1.1 102 Processing', 'HTTP/1.1 103 Early Hints'],
    )
    t.match(answer.interim[1], /\r\nLink: <\/a\.css>; rel=preload\r\n/i)
    t.equal(answer.body.toString(), 'body')
    client.send('GET / HTTP/1.0\r\n\r\n')
    t.match(await client.answer(), { interim: [], body: Buffer.from('body') }, 'not in HTTP/1.0')
    await rig.expectLines(2)
  })
})

t.test('messages that are not believed get one answer and the end', async t => {
  const cases: [title: string, text: string, status: number][] = [
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two lengths', request('POST', '/', ['Content-Length: 1', 'Content-Length: 1']), 400],
    ['length and chunks', request('POST', '/', ['Content-Length: 5', 'Transfer-Encoding: chunked']), 400],
    ['an unknown method', request('EVIL', '/'), 501],
    ['version 2', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    ['a long head', request('GET', '/', [`X: ${'x'.repeat(20_000)}`]), 431],
    ['a long target', request('GET', `/${'x'.repeat(20_000)}`), 414],
    ['a head without an end', `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(4000)}`, 431],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
    ['empty lines for ever', '\r\n'.repeat(20), 400],
    ['the begin of TLS', '\x16\x03\x01', 400],
    ['the begin of another protocol', '\0\0', 400],
  ]
  for (const [title, text, status] of cases) {
    await withRig(t, { workers: [echo] }, async rig => {
      const client = await rig.client()
      client.send(text)
      const answer = await client.answer()
      t.match(answer, { status, fields: { connection: 'close' }, whole: true }, title)
      client.send(request('GET', '/smuggled'))
      t.equal(await client.rest(), '', title)
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ title: '-', status, sentBytes: answer.body.length }], title)
    })
  }
})

t.test('a chunk that is wrong in its first byte is answered at once', async t => {
  for (const [title, bytes] of [
    ['its size', 'x'],
    ['what is behind its data', '1\r\nab'],
    ['a trailer', '0\r\n:'],
  ] as const) {
    await withRig(t, { workers: [echo] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', ['Transfer-Encoding: chunked']) + bytes)
      t.match(await client.answer(), { status: 400, fields: { connection: 'close' }, whole: true }, title)
      await rig.expectLines(1)
    })
  }
})

t.test('the bytes of what is said to a client whose request did not come are logged', async t => {
  const page = 'a page of the operator\n'
  for (const errorPage of [[], [{ statuses: [408, 400], file: '/40x.html', text: page }]]) {
    await withRig(t, { settings: { httpHeaderTimeoutMs: 1000, errorPage }, workers: [echo] }, async rig => {
      const slow = await rig.client()
      slow.send('GET / HTT')
      const bad = await rig.client()
      bad.send('GET\r\n\r\n')
      const bodies = [(await bad.answer()).body, (await slow.answer()).body]
      await rig.expectLines(2)
      t.same(
        rig.log.entries.map(({ status, sentBytes }) => [status, sentBytes]),
        [
          [400, bodies[0]?.length],
          [408, bodies[1]?.length],
        ],
      )
      t.equal(bodies[1]?.toString() === page, errorPage.length > 0)
    })
  }
})

t.test('some empty lines before a request are skipped', async t => {
  await withRig(t, { workers: [echo] }, async rig => {
    const client = await rig.client()
    client.send(`\r\n\r\n${request('GET', '/')}\r\n${request('GET', '/')}`)
    t.equal((await client.answer()).status, 200)
    t.equal((await client.answer()).status, 200)
    await rig.expectLines(2)
  })
})

t.test('deadlines of an idle connection and of a head', async t => {
  const cases: [title: string, text: string, before: boolean, expected: string][] = [
    ['nothing ever comes', '', false, ''],
    ['half a head', 'GET / HT', false, 'HTTP/1.1 408'],
    ['idle between requests', '', true, ''],
    ['half a head between requests', 'GET /', true, 'HTTP/1.1 408'],
  ]
  for (const [title, text, before, expected] of cases) {
    await withRig(t, { settings: { httpHeaderTimeoutMs: 500, httpKeepaliveMs: 500 }, workers: [echo] }, async rig => {
      const client = await rig.client()
      if (before) {
        client.send(request('GET', '/'))
        t.equal((await client.answer()).status, 200)
      }
      if (text !== '') client.send(text)
      const rest = await client.rest()
      t.equal(rest.slice(0, 12), expected, title)
      t.equal(await client.closed, false, `${title}: no reset`)
      await rig.expectLines((before ? 1 : 0) + (expected === '' ? 0 : 1))
    })
  }
})

t.test('a head that trickles in does not reset its deadline', async t => {
  await withRig(t, { settings: { httpHeaderTimeoutMs: 150 }, workers: [echo] }, async rig => {
    const client = await rig.client()
    const trickle = setInterval(() => client.send('X'), 20)
    client.send('GET / HTTP/1.1\r\nHost: a\r\nX')
    t.equal((await client.answer()).status, 408)
    clearInterval(trickle)
    await rig.expectLines(1)
  })
})

t.test('a busy connection has no idle deadline', async t => {
  await withRig(
    t,
    {
      settings: { httpHeaderTimeoutMs: 500, httpKeepaliveMs: 500 },
      workers: [(_, response) => void setTimeout(() => response.end('late'), 1500)],
    },
    async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      t.equal((await client.answer()).body.toString(), 'late')
      await rig.expectLines(1)
    },
  )
})

t.test('the last answer is not cut off for a slow reader, nor waited for without end', async t => {
  const cases: [title: string, fields: string[], idleMs: number][] = [
    ['the connection closes', ['Connection: close'], 0],
    ['the connection is idle too long', [], 100],
  ]
  for (const [title, fields, idleMs] of cases) {
    for (const takes of [true, false]) {
      await withRig(t, { settings: { routes: [] } }, async rig => {
        const socket = new StuckSocket({ allowHalfOpen: true })
        const limits = { ...rig.limits, httpKeepaliveMs: idleMs, httpSendTimeoutMs: 60_000 }
        const connection = new Connection(socket.asSocket, rig.lifecycle, limits)
        const startMs = monotonicMs()
        socket.push(request('GET', '/', fields))
        await rig.expectLines(1)
        for (const laterMs of [200, 3000, 6000, 50_000]) connection.sweep(startMs + laterMs)
        t.equal(socket.destroyed, false, `${title}: it has time`)
        t.equal(socket.writableEnded, true, `${title}: but not for another request`)
        if (takes) {
          socket.open()
          await onceFinished(socket)
          connection.sweep(monotonicMs() + 1000)
          t.equal(socket.destroyed, false, `${title}: the connection lingers`)
          connection.sweep(monotonicMs() + 3000)
        } else connection.sweep(startMs + 70_000)
        t.equal(socket.destroyed, true, `${title}: ${takes ? 'and ends' : 'it takes too long'}`)
      })
    }
  }
})

function onceFinished(socket: Duplex): Promise<void> {
  return new Promise(resolve =>
    socket.writableFinished ? resolve() : void socket.once('finish', () => setImmediate(resolve)),
  )
}

/** The proxy's side of the first connection, once it is there. */
async function once(rig: Rig) {
  for (;;) {
    const [socket] = rig.sockets
    if (socket !== undefined) return socket
    await tick()
  }
}

t.test('an answer that breaks off never looks complete', async t => {
  const cases: [title: string, text: string, isReset: boolean][] = [
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', true],
    ['the end of the connection is its end', request('GET', '/bare'), true],
    ['its length says so', request('GET', '/length'), false],
    ['its last chunk is missing', request('GET', '/'), false],
  ]
  for (const [title, text, isReset] of cases) {
    const begun: ServerResponse[] = []
    const application: RequestListener = ({ url }, response) => {
      if (url === '/bare') {
        response.removeHeader('Transfer-Encoding')
        response.shouldKeepAlive = false
      }
      if (url === '/length') response.setHeader('Content-Length', 100)
      response.write('part')
      begun.push(response)
    }
    await withRig(t, { workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match((await client.bytes()).latin1Slice(), /^HTTP\/1\.1 200 .*part/s, title)
      // Once it has that: Node takes a reset that comes with the last bytes for an end.
      begun[0]?.destroy()
      t.equal(await client.rest(), '', title)
      client.socket.end()
      t.equal(await client.closed, isReset, title)
      await rig.expectLines(1)
    })
  }
})

t.test('a client that sends on and on without reading is not answered on and on', async t => {
  let asked = 0
  const body = Buffer.alloc(100_000, 'x')
  const application: RequestListener = (_, response) => {
    asked += 1
    response.end(body)
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.socket.pause()
    const count = 400
    client.send(request('GET', '/').repeat(count))
    const socket = await once(rig)
    while (waitingBytes(socket) === 0) await tick()
    let last = -1
    for (let quiet = 0; quiet < 50; quiet++) {
      await tick()
      if (asked !== last) quiet = 0
      last = asked
    }
    t.ok(asked < count, `${asked} of ${count} were begun`)
    t.ok(waitingBytes(socket) < 500_000, `${waitingBytes(socket)} bytes wait for the client`)
    client.socket.resume()
    for (let index = 0; index < count; index++) {
      const answer = await client.answer()
      if (!answer.whole || answer.body.length !== body.length) t.fail(`answer ${index}`)
    }
    t.equal(asked, count, 'all are answered once it reads')
    await rig.expectLines(count)
  })
})

t.test('a client that pipelines more than a head waits', async t => {
  const answers: ServerResponse[] = []
  await withRig(t, { workers: [(_, response) => void answers.push(response)] }, async rig => {
    const client = await rig.client()
    const socket = await once(rig)
    client.send(request('GET', '/').repeat(100_000))
    while (!socket.isPaused() || answers.length === 0) await tick()
    t.ok(socket.bytesRead < 300_000, `${socket.bytesRead} bytes were taken`)
    t.equal(answers.length, 1, 'one at a time')
    client.socket.resetAndDestroy()
    // As long as it is paused a connection does not learn that the client has gone; with the next answer it does.
    answers[0]?.end()
    while (rig.connections.size > 0) await tick()
    await rig.expectLines(rig.log.entries.length)
    t.ok(rig.log.entries.length >= answers.length)
  })
})

t.test('a request that waits for its client to read is not idle', async t => {
  const cases: [title: string, wait: (rig: Rig, connection: Connection) => void, lastAnswer: string][] = [
    ['for longer than http-keepalive', (_, connection) => connection.sweep(monotonicMs() + 5000), 'keep-alive'],
    [
      'while the proxy begins to drain',
      (rig, connection) => {
        rig.lifecycle.draining = true
        connection.drain()
        connection.sweep(monotonicMs() + 5000)
      },
      'close',
    ],
  ]
  for (const [title, wait, lastAnswer] of cases) {
    await withRig(t, { settings: { routes: [] } }, async rig => {
      const socket = new StuckSocket({ allowHalfOpen: true, writableHighWaterMark: 1 })
      const connection = new Connection(socket.asSocket, rig.lifecycle, { ...rig.limits, httpKeepaliveMs: 100 })
      socket.push(request('GET', '/1') + request('GET', '/2'))
      await rig.expectLines(1)
      wait(rig, connection)
      t.equal(socket.writableEnded, false, `${title}: it stays`)
      socket.open()
      await rig.expectLines(2)
      t.same(socket.received.match(/(?<=^Connection: )\S+/gm), ['keep-alive', lastAnswer], `${title}: it is answered`)
      socket.destroy()
    })
  }
})
