/** Which upstream an exchange goes to, what becomes of it when that fails, who waits, and WebSockets. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { UpstreamAddress } from '../../../kit/options/values/value-types.js'
import type { Client } from '../../../proxy/exchange/client.js'
import { Exchange } from '../../../proxy/exchange/exchange.js'
import { isRefusal } from '../../../proxy/http/refusal.js'
import { parseRequestHead } from '../../../proxy/http/request-head.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import type { Tunnels } from '../../../proxy/tunnel/tunnels.js'
import { UpstreamGroup } from '../../../proxy/upstream/upstream-group.js'
import { ForeignServer, refusingAddress, toUpstreams } from '../fixtures/foreign-server.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { responderEvents } from '../fixtures/responder-events.js'
import { type Rig, SETTINGS, withRig } from '../fixtures/rig.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

async function ask(rig: Rig, text: string): Promise<{ status: number; body: string }> {
  const client = await rig.client()
  client.send(text)
  const { status, body } = await client.answer()
  client.socket.destroy()
  return { status, body: body.toString() }
}

function values(rig: Rig, name: string): unknown[] {
  const family = rig.lifecycle.upstreams.families().find(each => each.name === name)
  return family?.values.map(({ labels, value }) => ({ ...labels, value })) ?? []
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

t.test('they take turns, and a busy one gets less', async t => {
  const held: (() => void)[] = []
  const servers = []
  for (let index = 0; index < 3; index++) {
    servers.push(
      await ForeignServer.http(t, (asked, response) => {
        if (asked.url === '/hold') held.push(() => response.end())
        else response.end(String(index))
      }),
    )
  }
  await withRig(t, { settings: toUpstreams(...servers) }, async rig => {
    const bodies: string[] = []
    for (let number = 0; number < 6; number++) bodies.push((await ask(rig, request('GET', '/'))).body)
    t.same(bodies, ['0', '1', '2', '0', '1', '2'])
    const holder = await rig.client()
    holder.send(request('GET', '/hold'))
    while (held.length === 0) await tick()
    const others: string[] = []
    for (let number = 0; number < 4; number++) others.push((await ask(rig, request('GET', '/'))).body)
    t.same(others, ['1', '2', '1', '2'])
    held[0]?.()
    await holder.answer()
    await rig.expectLines(11)
  })
})

t.test('a refused connection is tried elsewhere, whatever the method', async t => {
  const good = await ForeignServer.http(t, (asked, response) => void asked.pipe(response))
  const settings = toUpstreams(await refusingAddress(), await refusingAddress(), good)
  await withRig(t, { settings: { ...settings, httpMaxFails: 0 } }, async rig => {
    t.match(await ask(rig, requestWithBody('POST', '/', 'abc')), { status: 200, body: 'abc' })
    t.match(rig.log.entries, [{ attempts: 3 }])
    t.match(values(rig, 'daimyo_upstream_failures_total'), [
      { mount: '/', upstream: 0, reason: 'unreachable', value: 1 },
      { mount: '/', upstream: 1, reason: 'unreachable', value: 1 },
    ])
    await rig.expectLines(1)
  })
})

t.test('where none can be reached there is no second round', async t => {
  await withRig(t, { settings: toUpstreams(await refusingAddress(), await refusingAddress()) }, async rig => {
    t.match(await ask(rig, request('GET', '/')), { status: 502, body: /no server behind this path/ })
    t.match(rig.log.entries, [{ status: 502, attempts: 2 }])
    await rig.expectLines(1)
  })
})

t.test('a broken connection: once more if idempotent, never if not', async t => {
  const cases: [title: string, text: string, status: number, attempts: number][] = [
    ['GET', request('GET', '/'), 502, 2],
    ['PUT with a body', requestWithBody('PUT', '/', 'abc'), 502, 2],
    ['PUT with a large body', requestWithBody('PUT', '/', 'x'.repeat(300_000)), 502, 1],
    ['POST', requestWithBody('POST', '/', 'abc'), 502, 1],
    ['POST without a body', request('POST', '/'), 502, 1],
    ['PATCH', requestWithBody('PATCH', '/', 'abc'), 502, 1],
  ]
  for (const [title, text, status, attempts] of cases) {
    const bad = await ForeignServer.raw(t, socket => void socket.resetAndDestroy())
    await withRig(t, { settings: toUpstreams(bad) }, async rig => {
      t.equal((await ask(rig, text)).status, status, title)
      t.match(rig.log.entries, [{ attempts }], title)
      t.equal(bad.accepted, attempts, `${title}: connections`)
      await rig.expectLines(1)
    })
    const other = await ForeignServer.http(
      t,
      (asked, response) => void asked.resume().on('end', () => response.end('ok')),
    )
    await withRig(t, { settings: toUpstreams(bad, other) }, async rig => {
      t.equal((await ask(rig, text)).status, attempts === 2 ? 200 : 502, `${title}: elsewhere`)
      t.equal(other.asked.length, attempts - 1, `${title}: asked elsewhere`)
      await rig.expectLines(1)
    })
  }
})

t.test('one that fails is left alone for the grace time', async t => {
  const good = await ForeignServer.http(t, (_, response) => void response.end('good'))
  const back = await ForeignServer.http(t, (_, response) => void response.end('back'))
  back.kill()
  const settings = { ...toUpstreams(back, good), httpMaxFails: 2, httpGracetimeMs: 3_600_000 }
  await withRig(t, { settings }, async rig => {
    for (let number = 0; number < 6; number++) t.equal((await ask(rig, request('GET', '/'))).body, 'good')
    const fields = { mount: '/', reason: 'unreachable', why: /ECONNREFUSED/, graceMs: 3_600_000 }
    t.match(rig.events, [{ name: 'upstream-out', fields }])
    t.match(values(rig, 'daimyo_upstream_up'), [
      { upstream: 0, value: 0 },
      { upstream: 1, value: 1 },
    ])
    t.match(values(rig, 'daimyo_upstream_failures_total'), [{ upstream: 0, value: 2 }], 'it was asked twice only')
    await back.listen()
    for (let number = 0; number < 4; number++) t.equal((await ask(rig, request('GET', '/'))).body, 'good')
    await rig.expectLines(10)
  })
})

t.test('after the grace time one request tries it', async t => {
  const good = await ForeignServer.http(t, (_, response) => void response.end('good'))
  const back = await ForeignServer.http(t, (_, response) => void response.end('back'))
  back.kill()
  const settings = { ...toUpstreams(back, good), httpMaxFails: 2, httpGracetimeMs: 300 }
  await withRig(t, { settings }, async rig => {
    let asked = 0
    for (; rig.events.length === 0; asked++) t.equal((await ask(rig, request('GET', '/'))).body, 'good')
    t.match(rig.events, [{ name: 'upstream-out' }])
    await back.listen()
    do asked += 1
    while ((await ask(rig, request('GET', '/'))).body !== 'back')
    t.match(rig.events.at(-1), { name: 'upstream-back' })
    t.match(values(rig, 'daimyo_upstream_up'), [{ value: 1 }, { value: 1 }])
    await rig.expectLines(asked)
  })
})

t.test('where all are out the least bad one is tried', async t => {
  const server = await ForeignServer.http(t, (_, response) => void response.end('back'))
  server.kill()
  const settings = { ...toUpstreams(server, await refusingAddress()), httpMaxFails: 1, httpGracetimeMs: 60_000 }
  await withRig(t, { settings }, async rig => {
    t.equal((await ask(rig, request('GET', '/'))).status, 502)
    t.equal(rig.events.length, 2, 'both are out')
    await server.listen()
    t.match(await ask(rig, request('POST', '/')), { status: 200, body: 'back' })
    await rig.expectLines(2)
  })
})

t.test('the queue', async t => {
  const answers: (() => void)[] = []
  const server = await ForeignServer.http(t, (_, response) => void answers.push(() => response.end('ok')))
  const httpQueueTimeoutMs = 5000
  const settings = { ...toUpstreams(server), workerConnections: 1, httpQueue: 2, httpQueueTimeoutMs }
  await withRig(t, { settings }, async rig => {
    const statuses: number[] = []
    const clients = []
    for (let number = 0; number < 4; number++) {
      const client = await rig.client()
      client.send(request('GET', `/${number}`))
      clients.push(client)
      while (number === 0 && answers.length === 0) await tick()
      if (number > 0 && number < 3)
        while ((values(rig, 'daimyo_upstream_queued_requests')[0] as { value: number }).value < number) await tick()
    }
    statuses.push((await clients[3]!.answer()).status)
    t.same(statuses, [503], 'one too many')
    answers[0]?.()
    t.equal((await clients[0]!.answer()).status, 200)
    while (answers.length < 2) await tick()
    t.same(server.asked, ['GET /0', 'GET /1'], 'in order')
    rig.lifecycle.sweep(monotonicMs() + httpQueueTimeoutMs)
    t.equal((await clients[2]!.answer()).status, 503, 'too long')
    answers[1]?.()
    t.equal((await clients[1]!.answer()).status, 200)
    // undici takes a connection back a turn of the loop after its answer.
    t.ok(server.accepted <= 2, `${server.accepted} connections`)
    await rig.expectLines(4)
  })
})

t.test('two hundred thousand may wait', async t => {
  const answers: (() => void)[] = []
  const server = await ForeignServer.http(t, (_, response) => void answers.push(() => response.end('ok')))
  const settings = {
    ...toUpstreams(server),
    workerConnections: 1,
    httpQueue: Number.POSITIVE_INFINITY,
    httpQueueTimeoutMs: 0,
  }
  const answered: string[] = []
  const world = { settings: { ...SETTINGS, ...settings }, metrics: { queued() {}, rescue() {} }, event() {} }
  const [{ upstreams }] = settings.routes as unknown as [{ upstreams: UpstreamAddress[] }]
  const events = responderEvents({
    complete: exchange => void answered.push(exchange.head.target),
    failed: (_, code) => void t.fail(code),
    broken: () => void t.fail('broken'),
    expired: () => void t.fail('expired'),
  })
  const group = new UpstreamGroup('/', upstreams, world, null as unknown as Tunnels, events)
  t.teardown(() => group.destroy())
  const client = { write: () => true, closing: false, closingNow: false } as unknown as Client
  const head = parseRequestHead(request('GET', '/').slice(0, -4))
  if (isRefusal(head)) throw new Error(head.reason)
  const exchanges = Array.from(
    { length: 200_000 },
    (_, number) => new Exchange({ ...head, target: `/${number}` }, client, 0),
  )
  for (const exchange of exchanges) group.dispatch(exchange, 0)
  t.equal(group.queued, exchanges.length - 1)
  while (answers.length === 0) await tick()
  for (const exchange of exchanges.slice(1, -2)) if (exchange !== exchanges[1000]) group.leave(exchange)
  answers[0]?.()
  while (answers.length < 2) await tick()
  answers[1]?.()
  while (answers.length < 3) await tick()
  answers[2]?.()
  while (answers.length < 4) await tick()
  answers[3]?.()
  while (answered.length < 4) await tick()
  t.same(answered, ['/0', '/1000', '/199998', '/199999'], 'those that are left, in their order')
  t.ok(group.isIdle)
})

t.test('a client that leaves while it waits', async t => {
  const answers: (() => void)[] = []
  const server = await ForeignServer.http(t, (_, response) => void answers.push(() => response.end('ok')))
  await withRig(t, { settings: { ...toUpstreams(server), workerConnections: 1 } }, async rig => {
    const first = await rig.client()
    first.send(request('GET', '/1'))
    while (answers.length === 0) await tick()
    const second = await rig.client()
    second.send(request('GET', '/2'))
    while ((values(rig, 'daimyo_upstream_queued_requests')[0] as { value: number }).value === 0) await tick()
    second.socket.resetAndDestroy()
    await rig.log.reached(1)
    answers[0]?.()
    await first.answer()
    await rig.expectLines(2)
    t.same(server.asked, ['GET /1'])
    t.match(rig.log.entries, [{ status: 499 }, { status: 200 }])
  })
})

t.test('the deadline: 504, and the upstream sees it', async t => {
  const cases: [title: string, text: string][] = [
    ['GET', request('GET', '/')],
    ['POST', requestWithBody('POST', '/', 'abc')],
  ]
  for (const [title, text] of cases) {
    const other = await ForeignServer.http(t, (_, response) => void response.end())
    const slow = await ForeignServer.http(t, () => {})
    await withRig(t, { settings: { ...toUpstreams(slow, other), harakiriMs: 150 } }, async rig => {
      const isClosed = once(slow.server, 'connection').then(
        ([socket]) => new Promise(over => socket.once('close', over)),
      )
      t.equal((await ask(rig, text)).status, 504, title)
      await isClosed
      t.same(other.asked, [], `${title}: not sent again`)
      t.match(rig.events, [{ name: 'request-harakiri', fields: { slot: 0 } }])
      t.match(values(rig, 'daimyo_upstream_failures_total'), [{ reason: 'late', value: 1 }])
      await rig.expectLines(1)
    })
  }
})

t.test('silence in mid-answer is a truncation', async t => {
  const silent = await ForeignServer.raw(
    t,
    socket => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'),
  )
  await withRig(t, { settings: { ...toUpstreams(silent), harakiriMs: 1500 } }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.match(await client.answer(), { status: 200, whole: false, body: Buffer.from('abc') })
    t.match(values(rig, 'daimyo_upstream_failures_total'), [{ reason: 'late', value: 1 }])
    await rig.expectLines(1)
  })
})

t.test('WebSocket', async t => {
  const server = createServer()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => socket.on('message', data => socket.send(data)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const settings = toUpstreams(await refusingAddress(), { address: { host: '127.0.0.1', port } })
  const asked = once(server, 'upgrade')
  await withRig(t, { settings }, async rig => {
    const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws?a=b`)
    await once(socket, 'open')
    socket.send('hello')
    t.equal(String((await once(socket, 'message'))[0]), 'hello')
    const [incoming] = await asked
    t.match(incoming, { url: '/ws?a=b', headers: { 'x-forwarded-for': '127.0.0.1', via: '1.1 daimyo' } })
    t.match(values(rig, 'daimyo_upstream_requests'), [{ value: 0 }, { value: 1 }])
    t.equal(rig.lifecycle.workers.tunnels.count, 1)
    socket.close()
    await once(socket, 'close')
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 101, attempts: 2 }])
    t.match(values(rig, 'daimyo_upstream_requests'), [{ value: 0 }, { value: 0 }])
  })
})

t.test('a WebSocket handshake that is not answered with 101', async t => {
  let received = ''
  const cases: [title: string, answer: (socket: Socket) => void, status: number][] = [
    ['refused', socket => void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'), 403],
    ['no HTTP', socket => void socket.end('hello\r\n\r\n'), 502],
    ['a bare LF', socket => void socket.end('HTTP/1.1 101 Switching\r\nX: a\nY: b\r\n\r\n'), 502],
    ['nothing', socket => void socket.end(), 502],
    ['silence', () => {}, 504],
  ]
  for (const [title, answer, status] of cases) {
    const upstream = await ForeignServer.raw(t, (socket, text) => {
      received = text
      socket.on('data', chunk => {
        received += chunk.latin1Slice()
      })
      setImmediate(() => setImmediate(() => answer(socket)))
    })
    const harakiriMs = title === 'silence' ? 200 : 600_000
    await withRig(t, { settings: { ...toUpstreams(upstream), harakiriMs } }, async rig => {
      const client = await rig.client()
      client.send(`${request('GET', '/ws', UPGRADE)}early`)
      t.equal((await client.answer()).status, status, title)
      t.notMatch(received, /early/, `${title}: not a byte behind the head`)
      client.socket.resetAndDestroy()
      await rig.log.reached(1)
      while (rig.connections.size > 0) await tick()
      t.match(values(rig, 'daimyo_upstream_requests'), [{ value: 0 }], title)
      await rig.expectLines(rig.log.entries.length)
    })
  }
})

t.test('an idle connection that the upstream closes is no failure', async t => {
  const server = await ForeignServer.raw(t, socket => {
    socket.write(OK)
    setImmediate(() => socket.end())
  })
  await withRig(t, { settings: toUpstreams(server) }, async rig => {
    for (let number = 1; number <= 5; number++) {
      t.match(await ask(rig, request('POST', '/')), { status: 200, body: 'ok' })
      while (server.sockets.size > 0) await tick()
    }
    t.same(values(rig, 'daimyo_upstream_failures_total'), [])
    await rig.expectLines(5)
  })
})
