/**
 * A client that ends its half of the connection together with its requests gets all responses, from wherever they come; one that is gone is noticed by what it
 * is sent, or after `httpHalfCloseTimeoutMs` of silence. One that ends its half later has left.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import type { RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { TurnsOfLoop } from '../../../kit/ground/running-clock.js'
import { TOGETHER_MS } from '../../../proxy/client/deadlines.js'
import { ForeignServer } from '../fixtures/foreign-server.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { signal, tick } from '../fixtures/signal.js'

const application: RequestListener = (asked, response) => {
  if (asked.url?.endsWith('/never')) return
  if (asked.url?.endsWith('/begun')) return void response.write('begun')
  if (asked.url?.endsWith('/at-once')) return void response.end('response')
  if (asked.url?.endsWith('/parts')) {
    response.write('resp')
    return void setTimeout(() => response.end('onse'), 20)
  }
  // A response that begins before the end of a long body could not say yet that it is the last one.
  asked.resume().on('end', () => setTimeout(() => response.end('response'), 20))
}

/** The rig's routes: files, a foreign upstream, the application. */
async function withEverything(t: Parameters<typeof withRig>[0], use: (rig: Rig) => Promise<void>): Promise<void> {
  const foreign = await ForeignServer.http(t, application)
  await withRig(t, { workers: [application] }, async rig => {
    const folder = join(rig.folder, 'www')
    mkdirSync(folder)
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), 'response')
    writeFileSync(join(folder, 'large'), Buffer.alloc(3_000_000, 'x'))
    rig.lifecycle.apply({
      ...rig.settings,
      routes: [
        { kind: 'static', prefix: '/files', folder },
        { kind: 'upstream', prefix: '/foreign', upstreams: [foreign.address] },
        { kind: 'app', prefix: '/' },
      ],
    })
    await use(rig)
  })
}

const cases: [title: string, requests: string[]][] = [
  ['one that is answered at once', [request('GET', '/at-once')]],
  ['one that is answered later', [request('GET', '/later')]],
  ['one in parts', [request('GET', '/parts')]],
  ['one with a body', [requestWithBody('POST', '/later', 'a body')]],
  ['one with a long body', [requestWithBody('POST', '/later', 'x'.repeat(300_000))]],
  ['one of an upstream', [request('GET', '/foreign/later')]],
  ['one in parts of an upstream', [request('GET', '/foreign/parts')]],
  ['cold files', ['a', 'b', 'c'].map(name => request('GET', `/files/${name}`))],
  ['of all kinds', ['/later', '/files/a', '/foreign/parts', '/files/b', '/at-once'].map(url => request('GET', url))],
]
t.test('what was asked before the end is answered', async t => {
  await withEverything(t, async rig => {
    // Nobody waits for so long.
    rig.limits.httpHalfCloseTimeoutMs = 3_600_000
    let lines = 0
    for (const [title, requests] of cases) {
      const client = await rig.client(true)
      client.socket.end(requests.join(''), 'latin1')
      for (const [index] of requests.entries()) {
        const { status, fields, body } = await client.answer()
        t.equal(`${status} ${body}`, '200 response', `${title}: ${index}`)
        t.equal(fields.connection, index === requests.length - 1 ? 'close' : 'keep-alive', `${title}: ${index}`)
      }
      t.equal(await client.rest(), '', title)
      lines += requests.length
      await rig.expectLines(lines)
    }
  })
})

/** Does what `object` does by that name, and then keeps the proxy from its sockets for longer than a client has. */
function standStillAfter(object: object, name: string): void {
  const methods = object as Record<string, (...values: unknown[]) => unknown>
  const method = methods[name]!
  methods[name] = (...values) => {
    const result = method.apply(object, values)
    for (const from = performance.now(); performance.now() - from < 4 * TOGETHER_MS; );
    return result
  }
}

t.test('the time in which the proxy could not look speaks against nobody', async t => {
  for (const [name, text] of [
    ['begin', request('GET', '/later')],
    ['bodyEnd', requestWithBody('POST', '/later', 'a body')],
  ] as const) {
    await withEverything(t, async rig => {
      rig.limits.httpHalfCloseTimeoutMs = 3_600_000
      standStillAfter(rig.lifecycle, name)
      const client = await rig.client(true)
      client.socket.end(text)
      t.match(await client.answer(), { status: 200 }, name)
      await rig.expectLines(1)
    })
  }
})

t.test('a large file is read to its end', async t => {
  await withEverything(t, async rig => {
    rig.limits.httpHalfCloseTimeoutMs = 3_600_000
    const client = await rig.client(true)
    client.socket.end(request('GET', '/files/large') + request('GET', '/files/a'))
    t.equal((await client.answer()).body.length, 3_000_000)
    t.equal((await client.answer()).body.toString(), 'response')
    await rig.expectLines(2)
  })
})

t.test('a request that is not whole is not answered, nor one behind it', async t => {
  await withEverything(t, async rig => {
    rig.limits.httpHalfCloseTimeoutMs = 3_600_000
    const client = await rig.client(true)
    client.socket.end(`${request('GET', '/later')}GET /late`)
    t.equal((await client.answer()).status, 200)
    t.equal(await client.rest(), '')
    const without = await rig.client(true)
    without.socket.end(request('POST', '/later', ['Content-Length: 5']))
    t.equal(await without.rest(), '')
    await rig.expectLines(2)
  })
})

t.test('an application that is silent is told that its client is gone', async t => {
  for (const url of ['/never', '/foreign/never']) {
    await withEverything(t, async rig => {
      const client = await rig.client(true)
      client.socket.end(request('GET', url))
      t.equal(await client.rest(), '', url)
      await rig.expectLines(1)
      t.equal(rig.log.entries[0]?.status, 499)
      t.match(
        JSON.stringify(rig.metrics.families({ connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 })),
        /half-close/,
      )
    })
  }
})

t.test('one that has begun is told of a client that is gone by what it writes', async t => {
  for (const isThere of [true, false]) {
    const [begun, closed] = [signal<ServerResponse>(), signal<boolean>()]
    const events: RequestListener = (_, response) => {
      response.on('close', () => closed.arrive(response.writableFinished))
      response.write('0')
      begun.arrive(response)
    }
    await withRig(t, { workers: [events] }, async rig => {
      const client = await rig.client(true)
      client.socket.end(request('GET', '/'))
      const response = await begun.arrived
      t.match((await client.bytes()).latin1Slice(), /^HTTP/)
      if (!isThere) client.socket.destroy()
      const from = performance.now()
      while (performance.now() - from < 2 * rig.limits.httpHalfCloseTimeoutMs && !response.destroyed) {
        response.write('.')
        await tick()
      }
      if (isThere) response.end()
      t.equal(await closed.arrived, isThere)
      await rig.expectLines(1)
    })
  }
})

const late: [title: string, url: string, isBegun: boolean][] = [
  ['long after its request', '/never', false],
  ['long after its request to an upstream', '/foreign/never', false],
  ['in the response', '/begun', true],
  ['in the response of an upstream', '/foreign/begun', true],
]
t.test('of a client that ends its half later the application is told at once', async t => {
  for (const [title, url, isBegun] of late) {
    await withEverything(t, async rig => {
      // Nobody waits for so long.
      rig.limits.httpHalfCloseTimeoutMs = 3_600_000
      const client = await rig.client(true)
      while (rig.connections.size === 0) await tick()
      client.send(request('GET', url))
      if (isBegun) await client.bytes()
      const [connection] = rig.connections
      while (connection?.idleSinceMs !== Number.POSITIVE_INFINITY) await tick()
      const turns = new TurnsOfLoop(TOGETHER_MS)
      // Longer than those that the connection waits for.
      for (let waits = 2; !isBegun && waits > 0; waits -= 1) {
        for (const begun = turns.begin(); !turns.isOver(begun); ) await tick()
      }
      client.socket.end()
      await client.closed
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ status: isBegun ? 200 : 499 }], title)
    })
  }
})

t.test('without a time to wait all have left, but for what needs no application', async t => {
  await withEverything(t, async rig => {
    rig.limits.httpHalfCloseTimeoutMs = 0
    const client = await rig.client(true)
    client.socket.end(request('GET', '/later'))
    t.equal(await client.rest(), '')
    const ofFiles = await rig.client(true)
    ofFiles.socket.end(request('GET', '/files/a') + request('GET', '/files/b'))
    for (const _ of ['a', 'b']) t.equal((await ofFiles.answer()).body.toString(), 'response')
    await rig.expectLines(3)
  })
})

t.test('a handshake of such a client ends', async t => {
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: AA==', 'Sec-WebSocket-Version: 13']
  await withEverything(t, async rig => {
    const client = await rig.client(true)
    client.socket.end(request('GET', '/files/a') + request('GET', '/never', upgrade))
    t.equal((await client.answer()).status, 200)
    t.equal(await client.rest(), '')
    await rig.expectLines(2)
    t.match(rig.log.entries, [{ status: 200 }, { status: 499 }])
  })
})
