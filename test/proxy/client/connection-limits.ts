/** The limits of a connection, each with a client that goes for it; and whose connections count as one client's. */

import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import { AddressCounts, clientAddress } from '../../../proxy/client/connection-limits.js'
import type { ErrorCode } from '../../../proxy/http/error-response.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { signal, tick } from '../fixtures/signal.js'

const IDLE = { connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 }
const CHUNKED = request('POST', '/', ['Transfer-Encoding: chunked'])

/** What `daimyo_limits_total` says. */
function limitsMet(rig: Rig): Record<string, number> {
  const family = rig.metrics.families(IDLE).find(({ name }) => name === 'daimyo_limits_total')
  return Object.fromEntries((family?.values ?? []).map(({ labels, value }) => [String(labels.limit), value]))
}

/**
 * The state of the proxy's side of this client's connection, as the kernel has it; none: it is over. Whoever else on
 * this machine tries the port does not count.
 */
function proxySideStates(rig: Rig, clientPort: number): string[] {
  const sides = [rig.port, clientPort].map(port => port.toString(16).toUpperCase().padStart(4, '0'))
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  const fields = lines.map(line => line.trim().split(/\s+/))
  const ours = fields.filter(([, local, remote]) => local?.endsWith(`:${sides[0]}`) && remote?.endsWith(`:${sides[1]}`))
  return ours.map(([, , , state]) => state ?? '')
}

/** Answers when it has read all; `ends` hears how each request ended. */
function reader(ends: { arrive(end: string): void }): RequestListener {
  return (asked, response) => {
    asked.on('error', () => {})
    asked.on('close', () => ends.arrive(asked.complete ? 'complete' : 'aborted'))
    asked.resume().on('end', () => response.end('read'))
  }
}

t.test('a body that does not come as it should: 408, and the application learns of it', async t => {
  const silent = { httpBodyTimeoutMs: 300, httpBodyMinRateBytesPerSecond: 1000 }
  // Never silent for so long, also where this process has to wait for a core.
  const slow = { ...silent, httpBodyTimeoutMs: 1500 }
  const cases: [title: string, head: string, piece: string, settings: Partial<ProxySettings>, code: ErrorCode][] = [
    ['nothing comes', request('POST', '/', ['Content-Length: 1000']), '', silent, 'body-stalled'],
    ['it trickles', request('POST', '/', ['Content-Length: 1000']), 'x', slow, 'body-too-slow'],
    ['chunks trickle', CHUNKED, '1\r\nx\r\n', slow, 'body-too-slow'],
    ['a chunk never begins', CHUNKED, '', silent, 'body-stalled'],
    [
      'before a worker has it',
      request('POST', '/', ['Content-Length: 1000']),
      'x',
      { ...slow, postBufferingBytes: 2000 },
      'body-too-slow',
    ],
  ]
  for (const [title, head, piece, settings, code] of cases) {
    const ends = signal<string>()
    await withRig(t, { settings, workers: [reader(ends)] }, async rig => {
      const client = await rig.client()
      client.send(head + piece)
      const trickle = setInterval(() => client.send(piece), 40)
      t.match(await client.answer(), { status: 408, fields: { connection: 'close' }, whole: true }, title)
      clearInterval(trickle)
      t.equal(await client.rest(), '', title)
      if (settings.postBufferingBytes === undefined) t.equal(await ends.arrived, 'aborted', title)
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ title: 'POST /', status: 408 }], title)
      const limit = code === 'body-stalled' ? 'http-body-timeout' : 'http-body-min-rate'
      t.same(limitsMet(rig), { [limit]: 1 }, title)
    })
  }
})

t.test('an answer that has begun is broken off when the body stops', async t => {
  const application: RequestListener = (asked, response) => {
    asked.on('error', () => {})
    response.write('begun')
  }
  await withRig(t, { settings: { httpBodyTimeoutMs: 200 }, workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 10']))
    t.equal((await client.answer()).whole, false, 'the client sees that it is not complete')
    await rig.expectLines(1)
    t.same(limitsMet(rig), { 'http-body-timeout': 1 })
  })
})

t.test('whoever keeps the pace, or is not asked for more, has time', async t => {
  const settings = { httpBodyTimeoutMs: 1000, httpBodyMinRateBytesPerSecond: 100 }
  const longerMs = 1500
  await t.test('a slow client that keeps the pace', async t => {
    await withRig(t, { settings, workers: [reader(signal())] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', ['Content-Length: 1500']))
      let sent = 0
      const pace = setInterval(() => {
        if (sent < 1500) client.send('x'.repeat(20))
        sent += 20
      }, 40)
      t.equal((await client.answer()).status, 200)
      clearInterval(pace)
      await rig.expectLines(1)
    })
  })
  await t.test('a client that waits for 100 (Continue)', async t => {
    const asked = signal<() => void>()
    await withRig(t, { settings }, async rig => {
      const worker = await rig.worker(() => {})
      worker.server.on('checkContinue', (incoming: IncomingMessage, response) => {
        asked.arrive(() => {
          response.writeContinue()
          incoming.resume().on('end', () => response.end('read'))
        })
      })
      const client = await rig.client()
      client.send(request('POST', '/', ['Content-Length: 3', 'Expect: 100-continue']))
      const go = await asked.arrived
      const startMs = performance.now()
      while (performance.now() < startMs + longerMs) await tick()
      go()
      await client.bytes()
      client.send('abc')
      t.equal((await client.answer()).status, 200)
      await rig.expectLines(1)
    })
  })
  await t.test('a client whose application does not read', async t => {
    const asked = signal<() => void>()
    const application: RequestListener = (incoming, response) =>
      asked.arrive(() => incoming.resume().on('end', () => response.end('read')))
    await withRig(t, { settings, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', ['Content-Length: 3000000']))
      client.send(Buffer.alloc(3_000_000))
      const go = await asked.arrived
      const startMs = performance.now()
      while (performance.now() < startMs + longerMs) await tick()
      go()
      t.equal((await client.answer()).status, 200)
      await rig.expectLines(1)
    })
  })
})

t.test('limit-post', async t => {
  const expect = ['Expect: 100-continue']
  const cases: [title: string, text: string, status: number, stays: boolean, reaches: boolean][] = [
    ['as large as allowed', requestWithBody('POST', '/', 'x'.repeat(1000)), 200, true, true],
    [
      'a byte more, before it is read',
      request('POST', '/', ['Content-Length: 1001']) + 'x'.repeat(1001),
      413,
      true,
      false,
    ],
    ['much more', request('POST', '/', ['Content-Length: 5000000']), 413, false, false],
    ['the client waits with its body', request('POST', '/', ['Content-Length: 1001', ...expect]), 413, false, false],
    ['chunked, as large as allowed', `${CHUNKED}3e8\r\n${'x'.repeat(1000)}\r\n0\r\n\r\n`, 200, true, true],
    ['chunked, a byte more', `${CHUNKED}3e8\r\n${'x'.repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`, 413, false, true],
    ['chunked, many at once', CHUNKED + '1\r\nx\r\n'.repeat(2000), 413, false, true],
  ]
  for (const [title, text, status, stays, reaches] of cases) {
    const ends = signal<string>()
    await withRig(t, { settings: { limitPostBytes: 1000 }, workers: [reader(ends)] }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match(await client.answer(), { status, interim: [], whole: true }, title)
      if (stays) client.send(request('GET', '/'))
      if (stays) t.equal((await client.answer()).status, 200, `${title}: the connection stays`)
      else t.equal(await client.rest(), '', `${title}: the connection ends`)
      if (reaches) t.equal(await ends.arrived, status === 200 ? 'complete' : 'aborted', title)
      await rig.expectLines(stays ? 2 : 1)
      t.same(limitsMet(rig), status === 413 ? { 'limit-post': 1 } : {}, title)
    })
  }
})

t.test('heads', async t => {
  const settings = { httpUriSizeBytes: 100, httpHeaderCount: 10, bufferSizeBytes: 1024 }
  const fields = (count: number) =>
    request(
      'GET',
      '/',
      Array.from({ length: count - 1 }, () => 'A: b'),
    )
  const cases: [title: string, text: string, status: number, limit: string | null][] = [
    ['a target as long as allowed', request('GET', `/${'x'.repeat(99)}`), 200, null],
    ['a longer one', request('GET', `/${'x'.repeat(100)}`), 414, 'http-uri-size'],
    ['one that is longer than a head', `GET /${'x'.repeat(2000)}`, 414, 'http-uri-size'],
    ['as many fields as allowed', fields(10), 200, null],
    ['one more', fields(11), 431, 'http-header-count'],
    ['a long head', request('GET', '/', [`A: ${'x'.repeat(2000)}`]), 431, 'buffer-size'],
    ['a slow head', 'GET / HTTP/1.1\r\nHo', 408, 'http-header-timeout'],
  ]
  for (const [title, text, status, limit] of cases) {
    const httpHeaderTimeoutMs = limit === 'http-header-timeout' ? 100 : 0
    await withRig(
      t,
      { settings: { ...settings, httpHeaderTimeoutMs }, workers: [(_, response) => void response.end()] },
      async rig => {
        const client = await rig.client()
        client.send(text)
        t.match(await client.answer(), { status }, title)
        await rig.expectLines(1)
        t.same(limitsMet(rig), limit === null ? {} : { [limit]: 1 }, title)
      },
    )
  }
})

t.test('requests per connection: the last answer says so, what is pipelined behind it is not begun', async t => {
  const application: RequestListener = (_, response) => void response.end('body')
  await withRig(t, { settings: { httpKeepaliveRequests: 3 }, workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/').repeat(5))
    for (const connection of ['keep-alive', 'keep-alive', 'close']) {
      t.match(await client.answer(), { status: 200, fields: { connection } })
    }
    t.equal(await client.rest(), '')
    t.equal(await client.closed, false, 'no reset')
    await rig.expectLines(3)
    t.same(limitsMet(rig), { 'http-keepalive-requests': 1 })
  })
})

t.test('time of a connection: a response to a request that comes later says close', async t => {
  const held = signal<ServerResponse>()
  const application: RequestListener = (asked, response) => {
    if (asked.url === '/held') held.arrive(response)
    else response.end('body')
  }
  await withRig(t, { settings: { httpKeepaliveTimeMs: 60_000 }, workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.match(await client.answer(), { fields: { connection: 'keep-alive' } }, 'within its time')
    client.send(request('GET', '/held'))
    const response = await held.arrived
    rig.limits.httpKeepaliveTimeMs = Number.MIN_VALUE
    response.end()
    t.match(
      await client.answer(),
      { fields: { connection: 'keep-alive' } },
      'its time ends while a request is under way',
    )
    client.send(request('GET', '/').repeat(2))
    t.match(await client.answer(), { status: 200, fields: { connection: 'close' } })
    t.equal(await client.rest(), '', 'what is pipelined behind it is not begun')
    await rig.expectLines(3)
    t.same(limitsMet(rig), { 'http-keepalive-time': 1 })
  })
})

t.test('an idle connection, and one that never asks', async t => {
  for (const [before, limit] of [
    [0, 'http-header-timeout'],
    [1, 'http-keepalive'],
  ] as const) {
    const settings = before === 0 ? { httpHeaderTimeoutMs: 100 } : { httpKeepaliveMs: 100 }
    await withRig(t, { settings, workers: [(_, response) => void response.end()] }, async rig => {
      const client = await rig.client()
      if (before > 0) client.send(request('GET', '/'))
      if (before > 0) await client.answer()
      t.equal(await client.rest(), '')
      await rig.expectLines(before)
      t.same(limitsMet(rig), { [limit]: 1 })
    })
  }
})

/** The proxy's side of the connection of the client with this port, once it is there. */
async function proxySide(rig: Rig, clientPort: number): Promise<Socket> {
  for (;;) {
    const socket = [...rig.sockets].find(({ remotePort }) => remotePort === clientPort)
    if (socket !== undefined) return socket
    await tick()
  }
}

t.test('a client that does not read its answer is reset, and the application learns of it', async t => {
  const closed = signal<boolean>()
  const application: RequestListener = (_, response) => {
    response.on('close', () => closed.arrive(response.writableFinished))
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
    }
    response.on('drain', more)
    more()
  }
  await withRig(t, { settings: { httpSendTimeoutMs: 200 }, workers: [application] }, async rig => {
    const client = await rig.client()
    const { localPort = 0 } = client.socket
    client.socket.pause()
    client.send(request('GET', '/'))
    t.equal(await closed.arrived, false, 'its answer is not complete')
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 200 }])
    t.same(limitsMet(rig), { 'http-send-timeout': 1 })
    t.same(proxySideStates(rig, localPort), [], 'nothing waits for it in the kernel')
  })
})

t.test('nor is it waited for behind its last answer', async t => {
  // In one write, and more than the kernel takes.
  const bytes = 20_000_000
  const settings: Partial<ProxySettings> = {
    httpSendTimeoutMs: 200,
    staticCacheSizeBytes: 2 * bytes,
    staticCacheFileSizeBytes: bytes,
  }
  for (const [title, fields, end] of [
    ['the connection closes', ['Connection: close'], false],
    ['the client has ended its side', [], true],
  ] as const) {
    await withRig(t, { settings }, async rig => {
      // Beside another run of this test, which has a folder of its own: of a shorter file the kernel would take all.
      const folder = join(rig.folder, 'www')
      mkdirSync(folder)
      writeFileSync(join(folder, 'large'), Buffer.alloc(bytes, 'x'))
      rig.lifecycle.apply({ ...rig.settings, routes: [{ kind: 'static', prefix: '/', folder }] })
      const client = await rig.client(true)
      const { localPort = 0 } = client.socket
      client.socket.pause()
      client.send(request('GET', '/large', [...fields]))
      const closed = once(await proxySide(rig, localPort), 'close')
      await rig.expectLines(1)
      if (end) client.socket.end()
      await closed
      t.same(limitsMet(rig), { 'http-send-timeout': 1 }, title)
      t.same(proxySideStates(rig, localPort), [], `${title}: nothing waits for it in the kernel`)
      t.equal(rig.connections.size, 0, title)
    })
  }
})

t.test('a client that reads slowly but reads is not reset', async t => {
  const body = Buffer.alloc(20_000_000)
  await withRig(
    t,
    { settings: { httpSendTimeoutMs: 1200 }, workers: [(_, response) => void response.end(body)] },
    async rig => {
      const client = await rig.client()
      client.socket.pause()
      client.send(request('GET', '/'))
      const startMs = performance.now()
      const sips = setInterval(() => {
        if (performance.now() - startMs > 3000) client.socket.resume()
        // More than the third of its buffer that the kernel wants free before it takes more.
        else client.socket.read(2_000_000)
      }, 50)
      t.equal((await client.answer()).body.length, body.length)
      clearInterval(sips)
      await rig.expectLines(1)
      t.same(limitsMet(rig), {})
    },
  )
})

t.test('what is queued', async t => {
  const httpQueueTimeoutMs = 5000
  await withRig(t, { settings: { httpQueue: 1, httpQueueTimeoutMs } }, async rig => {
    const clients = [await rig.client(), await rig.client()]
    for (const client of clients) client.send(request('GET', '/'))
    const answers = clients.map(client => client.answer())
    await Promise.race(answers)
    rig.lifecycle.sweep(monotonicMs() + httpQueueTimeoutMs)
    for (const { status } of await Promise.all(answers)) t.equal(status, 503)
    await rig.expectLines(2)
    t.same(limitsMet(rig), { 'http-queue': 1, 'http-queue-timeout': 1 })
  })
})

t.test('a connection that is turned away is told why, whatever it sends', async t => {
  await withRig(t, { workers: [reader(signal())] }, async rig => {
    const client = await rig.client()
    client.send(requestWithBody('POST', '/', 'x'.repeat(10_000)))
    while (rig.connections.size === 0) await tick()
    for (const connection of rig.connections) connection.turnAway()
    t.match(await client.answer(), { status: 503, fields: { connection: 'close', 'retry-after': '1' } })
    t.equal(await client.rest(), '')
    t.equal(await client.closed, false, 'no reset')
    await rig.expectLines(1)
    t.same(limitsMet(rig), { 'http-connections-per-address': 1 })
  })
})

t.test('addresses', async t => {
  const cases: [title: string, one: string, other: string, same: boolean][] = [
    ['the same', '192.0.2.1', '192.0.2.1', true],
    ['neighbours', '192.0.2.1', '192.0.2.2', false],
    ['one /64', '2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', true],
    ['two /64', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['a short one', '2001:db8::1', '2001:db8::2:1', true],
    ['a short one and another /64', '2001:db8::1', '2001:db8:0:1::1', false],
    ['zeros at the end', '2001:db8:1::', '2001:db8:1::5', true],
    ['local ones', '::1', '::2', true],
    ['with dots', '64:ff9b::192.0.2.1', '64:ff9b::192.0.2.2', true],
  ]
  for (const [title, one, other, same] of cases) {
    const counts = new AddressCounts()
    counts.enter(one)
    t.equal(counts.enter(other), same ? 2 : 1, title)
    counts.leave(other)
    counts.leave(one)
    t.equal(counts.enter(one), 1, `${title}: and forgotten`)
  }
  const of = (remoteAddress: string | undefined) => clientAddress({ remoteAddress } as Socket)
  t.equal(of('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(of('2001:db8::1'), '2001:db8::1')
  t.equal(of(undefined), null, 'a unix socket')
})

t.test('an eviction ends an idle connection, and nothing else counts as idle', async t => {
  const asked = signal<() => void>()
  const application: RequestListener = (_, response) => asked.arrive(() => response.end('late'))
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    while (rig.connections.size === 0) await tick()
    const [connection] = rig.connections
    t.ok(Number.isFinite(connection?.idleSinceMs), 'nothing has come')
    client.send('GET / HT')
    while (connection?.idleSinceMs !== Number.POSITIVE_INFINITY) await tick()
    client.send('TP/1.1\r\nHost: a\r\n\r\n')
    const answer = await asked.arrived
    t.equal(connection?.idleSinceMs, Number.POSITIVE_INFINITY, 'it waits for its answer')
    answer()
    t.equal((await client.answer()).status, 200)
    t.ok(Number.isFinite(connection?.idleSinceMs), 'it has been answered')
    connection?.evict()
    t.equal(connection?.idleSinceMs, Number.POSITIVE_INFINITY, 'once is enough')
    await once(client.socket, 'close')
    t.equal(await client.closed, false)
    await rig.expectLines(1)
  })
})
