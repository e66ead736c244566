/**
 * The life of requests from client to application and back: deaths of workers, bodies both ways, the queue, deadlines. Every rig counts at its
 * end that each request has exactly one line in the access log.
 */

import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import t from 'tap'
import { creditFrame, FRAME, frame, responsePrefix, WINDOW_BYTES } from '../../kit/frames.js'
import type { ProxySettings } from '../../kit/messages.js'
import { monotonicMs } from '../../proxy/clock.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { type RawClient, request, requestWithBody } from './fixtures/raw-client.js'
import { type Rig, withRig, workerAddress } from './fixtures/rig.js'

/** A value that arrives. */
function signal<Value>(): { arrived: Promise<Value>; arrive(value: Value): void } {
  let arrive: (value: Value) => void = () => {}
  const arrived = new Promise<Value>(resolve => {
    arrive = resolve
  })
  return { arrived, arrive: value => arrive(value) }
}

const hello: RequestListener = (_, response) => void response.end('hello')

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

t.test('routes', async t => {
  const settings: Partial<ProxySettings> = { routes: [{ kind: 'app', prefix: '/api' }] }
  const cases: [target: string, status: number][] = [
    ['/api', 200],
    ['/api/x?y', 200],
    ['/apix', 404],
    ['/', 404],
    ['/api/../x', 404],
    ['/x/../api', 200],
    ['/api/%2e%2e/x', 404],
    ['/../api', 400],
    ['/api/%2f', 400],
    ['/api/%zz', 400],
    ['/api/%00', 400],
  ]
  await withRig(t, { settings, workers: [hello] }, async rig => {
    const client = await rig.client()
    for (const [target, status] of cases) {
      client.send(request('GET', target))
      t.equal((await client.answer()).status, status, target)
    }
    client.send(request('OPTIONS', '*'))
    t.equal((await client.answer()).status, 404, 'OPTIONS * where nothing is mounted at the root')
    await rig.expectLines(cases.length + 1)
  })
  await withRig(t, { workers: [(asked, response) => void response.end(`${asked.method} ${asked.url}`)] }, async rig => {
    const client = await rig.client()
    client.send(request('OPTIONS', '*'))
    t.match(await client.answer(), { status: 200, body: Buffer.from('OPTIONS *') })
    await rig.expectLines(1)
  })
})

t.test('what the application is told of the client', async t => {
  const application: RequestListener = (asked, response) => void response.end(JSON.stringify(asked.headers))
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(
      request('GET', '/', [
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-Proto: https',
        'Connection: x-y',
        'X-Y: 1',
        'A: b',
      ]),
    )
    t.same(JSON.parse((await client.answer()).body.toString()), {
      host: 'test',
      a: 'b',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'test',
    })
    await rig.expectLines(1)
  })
})

/** Sends a request to the first of two workers, which dies when `dies` says so; what the client got, and what the workers saw. */
async function dieWith(
  rig: Rig,
  text: string,
  dies: (asked: Promise<[IncomingMessage, ServerResponse]>) => Promise<void>,
) {
  const asked = signal<[IncomingMessage, ServerResponse]>()
  const mortal = await rig.worker((...pair) => asked.arrive(pair))
  const client = await rig.client()
  client.send(text)
  await asked.arrived
  const other = await rig.worker(hello)
  await dies(asked.arrived)
  mortal.kill()
  const answer = await client.answer(text.startsWith('HEAD'))
  await rig.expectLines(1)
  return { answer, mortal: mortal.seen, other: other.seen, client, entry: rig.log.entries[0] }
}

t.test('a worker dies with a request in flight', async t => {
  const cases: [title: string, text: string, status: number, others: string[], attempts: number][] = [
    ['GET', request('GET', '/'), 200, ['GET /'], 2],
    ['HEAD', request('HEAD', '/'), 200, ['HEAD /'], 2],
    ['DELETE', request('DELETE', '/'), 200, ['DELETE /'], 2],
    ['PUT with its body', requestWithBody('PUT', '/', 'body'), 200, ['PUT /'], 2],
    ['POST', requestWithBody('POST', '/', 'body'), 502, [], 1],
    ['POST without a body', request('POST', '/', ['Content-Length: 0']), 502, [], 1],
    ['PATCH', requestWithBody('PATCH', '/', 'body'), 502, [], 1],
  ]
  for (const [title, text, status, others, attempts] of cases) {
    await withRig(t, {}, async rig => {
      const { answer, mortal, other, entry } = await dieWith(rig, text, async () => {})
      t.equal(answer.status, status, title)
      t.equal(mortal.length, 1, title)
      t.same(other, others, title)
      t.match(entry, { status, attempts, slot: attempts }, title)
    })
  }
})

t.test('the body that is sent again is the whole body', async t => {
  await withRig(t, {}, async rig => {
    const first = signal<void>()
    const mortal = await rig.worker(() => first.arrive())
    const client = await rig.client()
    const body = randomBytes(WINDOW_BYTES - 10)
    client.send(request('PUT', '/', [`Content-Length: ${body.length}`]))
    client.send(body.subarray(0, 50_000))
    await first.arrived
    await rig.worker((asked, response) => {
      const hash = createHash('sha1')
      asked.on('data', chunk => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')))
    })
    mortal.kill()
    client.send(body.subarray(50_000))
    t.equal((await client.answer()).body.toString(), createHash('sha1').update(body).digest('hex'))
    await rig.expectLines(1)
  })
})

t.test('a body that outgrew the window cannot be sent again', async t => {
  await withRig(t, {}, async rig => {
    const read = signal<void>()
    let bytes = 0
    const mortal = await rig.worker(asked => {
      asked.on('data', chunk => {
        bytes += chunk.length
        if (bytes === 2 * WINDOW_BYTES) read.arrive()
      })
    })
    const client = await rig.client()
    client.send(request('PUT', '/', [`Content-Length: ${3 * WINDOW_BYTES}`]))
    client.send(Buffer.alloc(2 * WINDOW_BYTES))
    await read.arrived
    const other = await rig.worker(hello)
    mortal.kill()
    t.match(await client.answer(), { status: 502, fields: { connection: 'close' } })
    t.same(other.seen, [])
    await rig.expectLines(1)
  })
})

t.test('an idempotent request is sent twice at most', async t => {
  await withRig(t, {}, async rig => {
    const kills: (() => void)[] = []
    let asked = 0
    for (let count = 0; count < 3; count++) {
      const worker = await rig.worker(() => {
        asked += 1
        kills[count]?.()
      })
      kills.push(() => setImmediate(() => worker.kill()))
    }
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 502)
    t.equal(asked, 2)
    await rig.expectLines(1)
  })
})

t.test('a worker dies in the middle of an answer: the client sees that it is not whole', async t => {
  const cases: [title: string, fields: Record<string, string>][] = [
    ['chunked', {}],
    ['by length', { 'Content-Length': '1000' }],
  ]
  for (const [title, fields] of cases) {
    await withRig(t, {}, async rig => {
      const sent = signal<void>()
      const mortal = await rig.worker((_, response) => {
        response.writeHead(200, fields)
        response.write('part')
        sent.arrive()
      })
      const other = await rig.worker(hello)
      const client = await rig.client()
      client.send(request('GET', '/'))
      await sent.arrived
      while (
        rig.phases.dispatcher.links &&
        [...rig.phases.dispatcher.links].every(link => [...link.exchanges].every(each => !each.answerBegun))
      ) {
        await tick()
      }
      mortal.kill()
      t.match(await client.answer(), { status: 200, body: Buffer.from('part'), whole: false }, title)
      await client.closed
      t.same(other.seen, [], `${title}: and it is not sent again`)
      await rig.expectLines(1)
    })
  }
})

t.test('a POST is delivered once at most, whatever the worker had said', async t => {
  const cases: [title: string, seen: boolean, status: number, deliveries: number][] = [
    ['not acknowledged', false, 200, 1],
    ['acknowledged', true, 502, 0],
  ]
  for (const [title, seen, status, deliveries] of cases) {
    await withRig(t, {}, async rig => {
      const played = await FakeWorker.open(t, 50)
      await rig.connect(played.address)
      const client = await rig.client()
      client.send(requestWithBody('POST', '/', 'body'))
      const [heard] = await played.has(FRAME.request, 1)
      await played.has(FRAME.end, 1)
      const other = await rig.worker(hello)
      if (seen) played.say(frame(FRAME.seen, heard?.id ?? 0))
      played.die()
      t.equal((await client.answer()).status, status, title)
      t.equal(other.seen.length, deliveries, title)
      await rig.expectLines(1)
    })
  }
})

t.test('an acknowledgement counts also when the client of the last POST has gone', async t => {
  await withRig(t, {}, async rig => {
    const played = await FakeWorker.open(t, 50)
    await rig.connect(played.address)
    const [stays, goes] = [await rig.client(), await rig.client()]
    stays.send(requestWithBody('POST', '/stays', 'a'))
    await played.has(FRAME.request, 1)
    goes.send(requestWithBody('POST', '/goes', 'b'))
    const [, last] = await played.has(FRAME.request, 2)
    goes.socket.resetAndDestroy()
    await played.has(FRAME.abort, 1)
    const other = await rig.worker(hello)
    played.say(frame(FRAME.seen, last?.id ?? 0))
    played.die()
    t.equal((await stays.answer()).status, 502)
    t.same(other.seen, [], 'it is not executed twice')
    await rig.expectLines(2)
  })
})

t.test('many in flight at a death keep their order and all get an answer', async t => {
  await withRig(t, { settings: { workerConnections: 5 } }, async rig => {
    const started = signal<void>()
    let count = 0
    const mortal = await rig.worker(() => {
      count += 1
      if (count === 5) started.arrive()
    })
    const clients: RawClient[] = []
    for (let index = 0; index < 20; index++) {
      const client = await rig.client()
      client.send(request('GET', `/${index}`))
      clients.push(client)
      while (rig.phases.dispatcher.queued + mortal.inFlight < index + 1) await tick()
    }
    await started.arrived
    mortal.kill()
    const next = await rig.worker(hello)
    for (const client of clients) t.equal((await client.answer()).body.toString(), 'hello')
    t.same(
      next.seen,
      Array.from({ length: 20 }, (_, index) => `GET /${index}`),
    )
    await rig.expectLines(20)
  })
})

/** What waits in the proxy for its client; the kernel's own buffers come on top. */
function heldBytes(rig: Rig): number {
  return Math.max(0, ...[...rig.sockets].map(socket => socket.writableLength))
}

/** More than the kernel buffers on the loopback interface. */
t.test('20 MB to a slow reader: nobody holds more than two windows', async t => {
  const body = randomBytes(20_000_000)
  let refusals = 0
  let drains = 0
  let backlog = 0
  const application: RequestListener = async (_, response) => {
    response.writeHead(200, { 'Content-Length': body.length })
    for (let start = 0; start < body.length; start += 50_000) {
      if (response.write(body.subarray(start, start + 50_000))) continue
      refusals += 1
      t.equal(response.writableNeedDrain, true)
      await once(response, 'drain')
      t.equal(response.writableNeedDrain, false, 'reset before drain')
      drains += 1
    }
    response.end()
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('GET', '/'))
    while (heldBytes(rig) === 0) await tick()
    for (let turn = 0; turn < 20; turn++) {
      client.socket.resume()
      await tick()
      client.socket.pause()
      for (let wait = 0; wait < 20; wait++) {
        await tick()
        backlog = Math.max(backlog, heldBytes(rig))
      }
    }
    client.socket.resume()
    const answer = await client.answer()
    t.ok(answer.body.equals(body), 'byte-identical')
    t.ok(refusals > 5 && drains === refusals, `${refusals} times the application was told to wait, and then to go on`)
    t.ok(backlog > 0 && backlog <= 2 * WINDOW_BYTES, `${backlog} bytes held at most`)
    await rig.expectLines(1)
  })
})

t.test('5 MB from a fast client to a slow application: nobody holds more than two windows', async t => {
  const body = randomBytes(5_000_000)
  const cases: [title: string, settings: Partial<ProxySettings>][] = [
    ['as it comes', {}],
    ['the first part buffered', { postBufferingBytes: 1_000_000 }],
  ]
  for (const [title, settings] of cases) {
    const asked = signal<IncomingMessage>()
    let held = 0
    let taken = () => 0
    const application: RequestListener = async (incoming, response) => {
      asked.arrive(incoming)
      const hash = createHash('sha1')
      let read = 0
      for await (const chunk of incoming) {
        for (let wait = 0; wait < 5; wait++) await tick()
        read += (chunk as Buffer).length
        held = Math.max(held, taken() - read)
        hash.update(chunk as Buffer)
      }
      response.end(hash.digest('hex'))
    }
    await withRig(t, { settings, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', [`Content-Length: ${body.length}`]))
      client.send(body)
      taken = () => [...rig.sockets][0]?.bytesRead ?? 0
      await asked.arrived
      t.equal((await client.answer()).body.toString(), createHash('sha1').update(body).digest('hex'), title)
      // What was buffered before the worker had the request goes there at once.
      const bound = 2 * WINDOW_BYTES + (settings.postBufferingBytes ?? 0)
      t.ok(held > 0 && held <= bound, `${title}: ${held} bytes held at most`)
      await rig.expectLines(1)
    })
  }
})

t.test('an application that never reads stops the client, and nothing piles up', async t => {
  const asked = signal<ServerResponse>()
  await withRig(t, { workers: [(_, response) => asked.arrive(response)] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 50000000']))
    client.send(Buffer.alloc(50_000_000))
    const response = await asked.arrived
    const [socket] = rig.sockets
    while (!socket?.isPaused()) await tick()
    t.ok((socket?.bytesRead ?? 0) <= 2 * WINDOW_BYTES, `${socket?.bytesRead} bytes were taken`)
    response.end('enough')
    t.match(await client.answer(), { status: 200, body: Buffer.from('enough') })
    client.socket.destroy()
    await rig.expectLines(1)
  })
})

t.test('post-buffering: the worker gets the request when the body is there, or the buffer is full', async t => {
  const cases: [title: string, bodyBytes: number, chunked: boolean][] = [
    ['small', 10, false],
    ['small, chunked', 10, true],
    ['larger than a window', 3 * WINDOW_BYTES, false],
    ['as large as the buffer', 500_000, false],
    ['larger than the buffer', 900_000, false],
    ['larger than the buffer, chunked', 900_000, true],
    ['none', 0, true],
  ]
  for (const [title, bodyBytes, chunked] of cases) {
    let got = 0
    const application: RequestListener = (asked, response) => {
      asked.on('data', chunk => {
        got += chunk.length
      })
      asked.on('end', () => response.end(String(got)))
    }
    await withRig(t, { settings: { postBufferingBytes: 500_000 }, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', [chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bodyBytes}`]))
      for (let sent = 0; sent < bodyBytes; sent += 90_000) {
        const piece = Buffer.alloc(Math.min(90_000, bodyBytes - sent), 'x')
        client.send(chunked ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece)
        if (bodyBytes <= 500_000 && sent + piece.length < bodyBytes)
          t.equal(rig.phases.dispatcher.loads()[0]?.requests, 0, title)
        await tick()
      }
      if (chunked) client.send('0\r\n\r\n')
      t.equal((await client.answer()).body.toString(), String(bodyBytes), title)
      await rig.expectLines(1)
    })
  }
})

t.test('a full queue refuses at once, also a body that was buffered first', async t => {
  const cases: [title: string, text: string, settings: Partial<ProxySettings>][] = [
    ['GET', request('GET', '/'), {}],
    ['POST', requestWithBody('POST', '/', 'x'.repeat(1000)), {}],
    ['POST, buffered', requestWithBody('POST', '/', 'x'.repeat(1000)), { postBufferingBytes: 10_000 }],
    ['POST, larger than the buffer', requestWithBody('POST', '/', 'x'.repeat(100_000)), { postBufferingBytes: 10_000 }],
    [
      'chunked, buffered',
      `${request('POST', '/', ['Transfer-Encoding: chunked'])}3\r\nabc\r\n0\r\n\r\n`,
      { postBufferingBytes: 10_000 },
    ],
    [
      'chunked, larger than the buffer',
      `${request('POST', '/', ['Transfer-Encoding: chunked'])}7530\r\n${'x'.repeat(30_000)}\r\n`,
      { postBufferingBytes: 10_000 },
    ],
  ]
  for (const [title, text, settings] of cases) {
    await withRig(t, { settings: { queueRequests: 1, ...settings } }, async rig => {
      const [waits, refused] = [await rig.client(), await rig.client()]
      waits.send(request('GET', '/waits'))
      while (rig.phases.dispatcher.queued < 1) await tick()
      refused.send(text)
      t.match(await refused.answer(), { status: 503, fields: { 'retry-after': '1' }, whole: true }, title)
      await rig.worker(hello)
      t.equal((await waits.answer()).status, 200, `${title}: and the one that waited is served`)
      await rig.expectLines(2)
    })
  }
})

t.test('waiting too long for a worker', async t => {
  await withRig(t, { settings: { queueMs: 60 } }, async rig => {
    const [waits, gives] = [await rig.client(), await rig.client()]
    gives.send(request('GET', '/gives-up'))
    waits.send(request('GET', '/waits'))
    while (rig.phases.dispatcher.queued < 2) await tick()
    gives.socket.resetAndDestroy()
    t.match(await waits.answer(), { status: 503, fields: { 'retry-after': '1' } })
    await rig.expectLines(2)
    t.same(rig.log.entries.map(({ title, status }) => `${title} ${status}`).sort(), [
      'GET /gives-up 499',
      'GET /waits 503',
    ])
  })
})

t.test('harakiri of one that waits for ever: 504 on time, the worker lives, the application is told', async t => {
  const gone = signal<string>()
  let pid = 0
  const application: RequestListener = (asked, response) => {
    if (asked.url === '/quick') response.end(String(++pid))
    else response.on('close', () => gone.arrive(`writableEnded ${response.writableEnded}`))
  }
  await withRig(t, { settings: { harakiriMs: 200 }, workers: [application] }, async rig => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => rig.client()))
    const startMs = monotonicMs()
    for (const client of clients) client.send(request('GET', '/slow?secret=1'))
    for (const client of clients) t.equal((await client.answer()).status, 504)
    const lateMs = monotonicMs() - startMs - 200
    t.ok(lateMs >= 0 && lateMs < 400, `all within ${Math.round(lateMs)} ms after their deadline`)
    t.equal(await gone.arrived, 'writableEnded false')
    clients[0]?.send(request('GET', '/quick'))
    t.equal((await (clients[0] as RawClient).answer()).body.toString(), '1', 'on the same connection')
    t.same(rig.verdicts, [], 'the worker lives')
    t.equal(rig.events.length, 10)
    t.match(rig.events[0], { name: 'request-harakiri', fields: { request: 'GET /slow', slot: 1 } })
    await rig.expectLines(11)
  })
})

t.test('the clock of harakiri', async t => {
  await t.test('does not run while the client uploads', async t => {
    await withRig(
      t,
      {
        settings: { harakiriMs: 100 },
        workers: [(asked, response) => void asked.on('end', () => response.end('ok')).resume()],
      },
      async rig => {
        const client = await rig.client()
        client.send(request('POST', '/', ['Content-Length: 3']))
        for (const byte of 'abc') {
          await new Promise(resolve => setTimeout(resolve, 80))
          client.send(byte)
        }
        t.equal((await client.answer()).status, 200)
        await rig.expectLines(1)
      },
    )
  })
  await t.test('stops at the first byte of the answer', async t => {
    const application: RequestListener = (_, response) => {
      response.write('a')
      setTimeout(() => response.end('b'), 300)
    }
    await withRig(t, { settings: { harakiriMs: 100 }, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      t.match(await client.answer(), { status: 200, body: Buffer.from('ab'), whole: true })
      await rig.expectLines(1)
    })
  })
})

t.test('a blocked worker: 504 to the guilty, the verdict, and the neighbours go to another worker', async t => {
  await withRig(t, { settings: { harakiriMs: 300 } }, async rig => {
    const child = fork(new URL('./fixtures/blocking-worker.js', import.meta.url), [rig.folder])
    await once(child, 'message')
    await rig.connect(workerAddress(rig.folder, 90, child.pid))
    const [guilty, innocent, post] = [await rig.client(), await rig.client(), await rig.client()]
    innocent.send(request('GET', '/wait'))
    post.send(requestWithBody('POST', '/wait', 'x'))
    while (rig.phases.dispatcher.loads()[0]?.inFlight !== 2) await tick()
    const startMs = monotonicMs()
    guilty.send(request('GET', '/burn'))
    const well = await rig.worker(hello)
    const blocked = signal<void>()
    rig.onBlocked = () => blocked.arrive()
    // The neighbours were there first, so one of them is asked for the 504; who blocks the loop cannot be told from outside.
    await blocked.arrived
    const [verdict] = rig.verdicts
    t.ok(
      (verdict?.atMs ?? 0) - startMs - 300 < 800,
      `${Math.round((verdict?.atMs ?? 0) - startMs - 300)} ms after the deadline`,
    )
    t.equal(verdict?.workerId, 90)
    child.kill('SIGKILL')
    const statuses = [await guilty.answer(), await innocent.answer(), await post.answer()].map(answer => answer.status)
    t.equal(statuses.filter(status => status === 504).length, 1, `${statuses}: one 504`)
    t.ok(statuses[2] === 502 || statuses[2] === 504, 'the POST was seen, it is not sent again')
    t.equal(well.seen.length, statuses.filter(status => status === 200).length)
    await rig.expectLines(3)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
})

t.test('a client that goes away: the application learns it', async t => {
  const cases: [title: string, text: string, leave: (client: RawClient) => void][] = [
    ['reset', request('GET', '/'), client => void client.socket.resetAndDestroy()],
    ['closed', request('GET', '/'), client => void client.socket.destroy()],
    ['half closed', request('GET', '/'), client => void client.socket.end()],
    [
      'in the middle of its body',
      `${request('POST', '/', ['Content-Length: 10'])}abc`,
      client => void client.socket.destroy(),
    ],
  ]
  for (const [title, text, leave] of cases) {
    const asked = signal<void>()
    const closed = signal<void>()
    const events: string[] = []
    const application: RequestListener = (incoming, response) => {
      incoming.on('aborted', () => events.push('aborted'))
      incoming.on('error', (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`))
      response.on('close', () => {
        events.push('close')
        closed.arrive()
      })
      asked.arrive()
    }
    await withRig(t, { workers: [application] }, async rig => {
      const client = await rig.client(true)
      client.send(text)
      await asked.arrived
      const startMs = monotonicMs()
      leave(client)
      await closed.arrived
      t.ok(monotonicMs() - startMs < 1000, title)
      await tick()
      t.same([...events].sort(), ['aborted', 'close', 'error ECONNRESET'], title)
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ status: 499 }], title)
    })
  }
})

t.test('an answer before the body is there', async t => {
  const early: RequestListener = (_, response) => void response.end('early')
  const cases: [title: string, text: string, bodyBytes: number, keeps: boolean][] = [
    ['little left: the connection stays', request('POST', '/', ['Content-Length: 1000']), 1000, true],
    ['much left', request('POST', '/', ['Content-Length: 5000000']), 5_000_000, false],
    ['chunked, end unknown', `${request('POST', '/', ['Transfer-Encoding: chunked'])}4c4b40\r\n`, 5_000_000, false],
  ]
  for (const [title, text, bodyBytes, keeps] of cases) {
    await withRig(t, { workers: [early] }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match(await client.answer(), { status: 200, body: Buffer.from('early') }, title)
      client.send(Buffer.alloc(bodyBytes))
      if (keeps) {
        client.send(request('GET', '/'))
        t.match(await client.answer(), { status: 200 }, `${title}: and serves the next request`)
      }
      await rig.expectLines(keeps ? 2 : 1)
    })
  }
})

t.test('the answer reaches also a client that sends all before it reads', async t => {
  await withRig(t, { workers: [(_, response) => void response.end('early')] }, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('POST', '/', ['Content-Length: 30000000']))
    client.send(Buffer.alloc(30_000_000))
    await rig.expectLines(1)
    for (let wait = 0; wait < 50; wait++) await tick()
    t.notOk(client.socket.destroyed, 'no reset')
    client.socket.resume()
    t.match(await client.answer(), { status: 200, body: Buffer.from('early') })
  })
})

t.test('a body that is not framed as it should be', async t => {
  const chunked = request('POST', '/', ['Transfer-Encoding: chunked'])
  const asked = signal<IncomingMessage>()
  await withRig(t, { workers: [incoming => asked.arrive(incoming)] }, async rig => {
    const client = await rig.client()
    client.send(`${chunked}3\r\nabc\r\n`)
    const incoming = await asked.arrived
    const closed = new Promise(resolve => incoming.on('error', () => {}).on('close', resolve))
    client.send('zz\r\n')
    t.match(await client.answer(), { status: 400, fields: { connection: 'close' } })
    await closed
    t.equal(incoming.complete, false, 'the application does not take it for complete')
    await rig.expectLines(1)
  })
  await withRig(t, { workers: [(_, response) => void response.end('early')] }, async rig => {
    const client = await rig.client()
    client.send(`${chunked}3\r\nabc\r\nzz\r\n`)
    const answer = await client.answer()
    t.ok([200, 400].includes(answer.status), 'after an early answer there is no second one')
    t.equal(await client.rest(), '')
    await rig.expectLines(1)
  })
})

t.test('draining: idle connections end, busy ones after their answer, with Connection: close', async t => {
  const asked = signal<ServerResponse>()
  await withRig(t, { workers: [(_, response) => asked.arrive(response)] }, async rig => {
    const [idle, busy, fresh] = [await rig.client(), await rig.client(), await rig.client()]
    busy.send(request('GET', '/busy'))
    const response = await asked.arrived
    while (rig.connections.size < 3) await tick()
    rig.phases.draining = true
    for (const connection of rig.connections) connection.drain()
    t.equal(await idle.rest(), '')
    t.equal(await fresh.rest(), '')
    response.end('done')
    t.match(await busy.answer(), { status: 200, body: Buffer.from('done') })
    t.equal(await busy.rest(), '')
    await busy.closed
    await rig.expectLines(1)
  })
})

t.test('a retiring worker finishes what it has and gets nothing new', async t => {
  const asked = signal<ServerResponse>()
  await withRig(t, {}, async rig => {
    await rig.worker((_, response) => asked.arrive(response))
    const [first, second] = [await rig.client(), await rig.client()]
    first.send(request('GET', '/first'))
    const response = await asked.arrived
    const next = await rig.worker(hello)
    rig.phases.dispatcher.retire(1)
    second.send(request('GET', '/second'))
    t.equal((await second.answer()).status, 200)
    t.same(next.seen, ['GET /second'])
    t.same(rig.drained, [])
    response.end('done')
    t.equal((await first.answer()).body.toString(), 'done')
    t.same(rig.drained, [1])
    await rig.expectLines(2)
  })
})

t.test('a new configuration is followed by the next request', async t => {
  await withRig(t, { workers: [hello] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 200)
    rig.phases.apply({ ...rig.settings, routes: [] })
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 404)
    await rig.expectLines(2)
  })
})

t.test('credit that nobody is owed does no harm', async t => {
  await withRig(t, {}, async rig => {
    const played = await FakeWorker.open(t, 50)
    await rig.connect(played.address)
    const client = await rig.client()
    client.send(request('GET', '/'))
    const [heard] = await played.has(FRAME.request, 1)
    const id = heard?.id ?? 0
    played.say(creditFrame(id, 0xffffffff), creditFrame(99, 1), frame(FRAME.data, 99, 'x'), frame(FRAME.abort, 99))
    played.say(frame(FRAME.response, id, `${responsePrefix(200, 1)}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`))
    t.equal((await client.answer()).status, 200)
    await rig.expectLines(1)
  })
})
