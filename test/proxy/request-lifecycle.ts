/** The life of requests from client to application and back: routes, the queue, clients that go away, draining. */

import type { RequestListener, ServerResponse } from 'node:http'
import t from 'tap'
import type { ProxySettings } from '../../kit/channel/messages.js'
import { creditFrame, FRAME } from '../../kit/link/frames.js'
import { monotonicMs } from '../../proxy/process/clock.js'
import { isRequestId } from '../../proxy/route/forwarded-fields.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { type RawClient, request, requestWithBody } from './fixtures/raw-client.js'
import { withRig } from './fixtures/rig.js'
import { hello, signal, tick } from './fixtures/signal.js'

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
    ['/api/%2f', 200],
    ['/api%2fx', 400],
    ['/api/%2f..', 400],
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
    for (const [method, target] of [
      ['OPTIONS', '*'],
      ['GET', '/@scope%2fname?x=%2f'],
    ] as const) {
      client.send(request(method, target))
      t.match(await client.answer(), { status: 200, body: Buffer.from(`${method} ${target}`) }, 'as it came')
    }
    await rig.expectLines(2)
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
    const answered = JSON.parse((await client.answer()).body.toString())
    t.same(answered, {
      host: 'test',
      a: 'b',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'test',
      'x-request-id': answered['x-request-id'],
    })
    t.ok(isRequestId(answered['x-request-id']))
    await rig.expectLines(1)
  })
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
    await withRig(t, { settings: { httpQueue: 1, ...settings } }, async rig => {
      const [waits, refused] = [await rig.client(), await rig.client()]
      waits.send(request('GET', '/waits'))
      while (rig.lifecycle.workers.dispatcher.queued < 1) await tick()
      refused.send(text)
      t.match(await refused.answer(), { status: 503, fields: { 'retry-after': '1' }, whole: true }, title)
      await rig.worker(hello)
      t.equal((await waits.answer()).status, 200, `${title}: and the one that waited is served`)
      await rig.expectLines(2)
    })
  }
})

t.test('waiting too long for a worker', async t => {
  const httpQueueTimeoutMs = 5000
  await withRig(t, { settings: { httpQueueTimeoutMs } }, async rig => {
    const [waits, gives] = [await rig.client(), await rig.client()]
    gives.send(request('GET', '/gives-up'))
    waits.send(request('GET', '/waits'))
    while (rig.lifecycle.workers.dispatcher.queued < 2) await tick()
    gives.socket.resetAndDestroy()
    await rig.log.reached(1)
    rig.lifecycle.sweep(monotonicMs() + httpQueueTimeoutMs)
    t.match(await waits.answer(), { status: 503, fields: { 'retry-after': '1' } })
    await rig.expectLines(2)
    t.same(rig.log.entries.map(({ title, status }) => `${title} ${status}`).sort(), [
      'GET /gives-up 499',
      'GET /waits 503',
    ])
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

t.test('draining: idle connections end, busy ones after their answer, with Connection: close', async t => {
  const asked = signal<ServerResponse>()
  await withRig(t, { workers: [(_, response) => asked.arrive(response)] }, async rig => {
    const [idle, busy, fresh] = [await rig.client(), await rig.client(), await rig.client()]
    busy.send(request('GET', '/busy'))
    const response = await asked.arrived
    while (rig.connections.size < 3) await tick()
    rig.lifecycle.draining = true
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
    rig.lifecycle.workers.dispatcher.retire(1)
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
    rig.lifecycle.apply({ ...rig.settings, routes: [] })
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 404)
    await rig.expectLines(2)
  })
})

t.test('a worker that breaks its link: what is in flight there is rescued, and nothing is done twice', async t => {
  const cases: [title: string, text: string, status: number, others: string[]][] = [
    ['GET', request('GET', '/'), 200, ['GET /']],
    ['PUT', requestWithBody('PUT', '/', 'body'), 200, ['PUT /']],
    // The worker has acknowledged nothing, but its word does not count any more.
    ['POST', requestWithBody('POST', '/', 'body'), 502, []],
  ]
  for (const [title, text, status, others] of cases) {
    await withRig(t, {}, async rig => {
      const played = await FakeWorker.open(t, 50)
      await rig.connect(played.address)
      const client = await rig.client()
      client.send(text)
      await played.has(FRAME.request, 1)
      const other = await rig.worker(hello)
      played.say(creditFrame(1, 0xffffffff))
      t.equal((await client.answer()).status, status, title)
      t.same(other.seen, others, title)
      t.same(rig.broken, ['50: it returns more credit than it was sent'], title)
      rig.sweep()
      t.equal(rig.lifecycle.workers.dispatcher.links.length, 1, `${title}: it gets no other link`)
      await rig.expectLines(1)
    })
  }
})

t.test('a worker that ends its link again and again', async t => {
  await withRig(t, {}, async rig => {
    const played = await FakeWorker.open(t, 50)
    await rig.connect(played.address)
    // The proxy links it anew each time.
    while (rig.broken.length === 0) {
      played.hangUp()
      await tick()
    }
    t.same(rig.broken, ['50: it ended its link 5 times'])
    rig.sweep()
    t.equal(rig.lifecycle.workers.dispatcher.links.length, 0, 'not any more')
    rig.lifecycle.workers.gone(50, 'crashed')
    await rig.expectLines(0)
  })
})
