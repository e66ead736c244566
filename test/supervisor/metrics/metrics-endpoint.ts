/** The master's metrics listener: answers, authentication, and clients that mean harm. */

import { once } from 'node:events'
import { chownSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { EventFields } from '../../../kit/log/log.js'
import type { ListenAddress } from '../../../kit/options/values/value-types.js'
import { hashPassword } from '../../../kit/page/password-hash.js'
import { type MetricsEndpointOptions, startMetricsEndpoint } from '../../../supervisor/metrics/metrics-endpoint.js'
import { groupsOf } from '../../../supervisor/user/service-user.js'

const LOOPBACK: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 }

async function start(t: Test, options: Partial<MetricsEndpointOptions> = {}) {
  const events: [string, EventFields][] = []
  const log = (event: string, fields: EventFields = {}) => void events.push([event, fields])
  const endpoint = await startMetricsEndpoint({ address: LOOPBACK, auth: null, render: () => 'm 1\n', log, ...options })
  t.teardown(() => endpoint.close())
  return { ...endpoint, events, port: Number(new URL(endpoint.url).port) }
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

function ask(port: number, path = '/metrics', method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    call.on('error', reject)
    call.end()
  })
}

/** Waits until it holds; turns of the loop let the other side work. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate()
}

/** Short enough for a unix socket, which a test directory is not. */
function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'm-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return join(folder, 's.sock')
}

/** What the other side sent until it ended the connection. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', chunk => {
    text += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return text
}

const answers: [string, string, string, number, string][] = [
  ['the metrics', 'GET', '/metrics', 200, 'm 1\n'],
  ['with a query', 'GET', '/metrics?name[]=x', 200, 'm 1\n'],
  ['only the head', 'HEAD', '/metrics', 200, ''],
  ['a pointer', 'GET', '/', 200, 'daimyo: metrics are at /metrics\n'],
  ['another path', 'GET', '/metrics/', 404, 'not found: metrics are at /metrics\n'],
  ['another path, other method', 'POST', '/x', 404, 'not found: metrics are at /metrics\n'],
  ['another method', 'POST', '/metrics', 405, 'only GET and HEAD\n'],
  ['DELETE', 'DELETE', '/metrics', 405, 'only GET and HEAD\n'],
]

t.test('answers', async t => {
  const { port, url } = await start(t)
  t.equal(url, `http://127.0.0.1:${port}/metrics`)
  for (const [title, method, path, status, body] of answers)
    t.match(await ask(port, path, method), { status, body }, title)
  const { headers } = await ask(port, '/metrics', 'HEAD')
  t.match(headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'content-length': '4' })
  t.match((await ask(port, '/metrics', 'POST')).headers, { allow: 'GET, HEAD', connection: 'close' })
})

t.test('one connection serves several scrapes', async t => {
  const { port } = await start(t)
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  for (let scrape = 0; scrape < 3; scrape++) {
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    const [chunk] = await once(socket, 'data')
    t.match(String(chunk), /^HTTP\/1\.1 200 OK\r\n[\s\S]*m 1\n$/)
  }
})

t.test('authentication stands before everything', async t => {
  const { port } = await start(t, { auth: `ali:${await hashPassword('sesame')}` })
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  for (const [, method, path] of answers) t.match(await ask(port, path, method), { status: 401 }, `${method} ${path}`)
  t.match((await ask(port)).headers, { 'www-authenticate': /^Basic realm=/ })
  t.match(await ask(port, '/metrics', 'GET', basic('ali:wrong')), { status: 401 })
  t.match(await ask(port, '/metrics', 'GET', basic('baba:sesame')), { status: 401 })
  t.match(await ask(port, '/metrics', 'GET', basic('ali:sesame')), { status: 200, body: 'm 1\n' })
})

t.test('refuses to start with credentials that are none, and does not show them', async t => {
  const options = { address: LOOPBACK, auth: 'ali:plain', render: () => '', log: () => {} }
  await t.rejects(startMetricsEndpoint(options), {
    exitCode: 78,
    message: /^cannot protect .*metrics-auth=\*\*\*: (?!.*plain)/,
  })
})

t.test('a render that fails is a 500 and an event, and the next one works', async t => {
  let calls = 0
  const render = async () => {
    calls += 1
    if (calls === 1) throw new Error('no luck')
    return 'm 2\n'
  }
  const { port, events } = await start(t, { render })
  t.match(await ask(port), { status: 500, body: /^(?!.*no luck)/ })
  t.same(events, [['metrics-failed', { why: 'no luck' }]])
  t.match(await ask(port), { status: 200, body: 'm 2\n' })
})

t.test('a port in use', async t => {
  const { port } = await start(t)
  const options = { address: { ...LOOPBACK, port }, auth: null, render: () => '', log: () => {} }
  const message = `cannot serve metrics: metrics=127.0.0.1:${port}: address already in use: accepted another one, or \`metrics = false\``
  await t.rejects(startMetricsEndpoint(options), { exitCode: 69, message })
})

t.test('a unix socket: private, replaced when stale, never taken from the living', async t => {
  const path = socketPath(t)
  const options = { address: { kind: 'unix', path } as const, auth: null, render: () => 'm 1\n', log: () => {} }
  const endpoint = await startMetricsEndpoint(options)
  t.equal(endpoint.url, `unix:${path}`)
  t.equal(statSync(path).mode & 0o777, 0o660)
  const message = new RegExp(`^cannot serve metrics: metrics=${path}: `)
  await t.rejects(startMetricsEndpoint(options), { exitCode: 69, message })
  const socket = connect(path)
  socket.end('GET /metrics HTTP/1.0\r\n\r\n')
  t.match(await untilClosed(socket), /^HTTP\/1\.1 200 OK[\s\S]*m 1\n$/)
  await endpoint.close()
  t.equal(statSync(path, { throwIfNoEntry: false }), undefined, 'gone with the endpoint')
  writeFileSync(path, 'precious')
  await t.rejects(startMetricsEndpoint(options), { exitCode: 69, message })
  t.equal(statSync(path).size, 8, 'a file is not unlinked')
})

const isRoot = process.geteuid?.() === 0

t.test(
  'where the service’s user decides about the folder another process removes it',
  { skip: !isRoot && 'needs root' },
  async t => {
    const path = socketPath(t)
    const opener = { user: null, uid: 65_534, gid: 65_534 }
    chownSync(dirname(path), opener.uid, opener.gid)
    groupsOf(opener)
    const asked: string[] = []
    const endpoint = await startMetricsEndpoint({
      address: { kind: 'unix', path },
      opener,
      auth: null,
      render: () => 'm 1\n',
      log: () => {},
      remove: async path => void asked.push(path),
    })
    const before = connect(path)
    await once(before, 'connect')
    await endpoint.close()
    t.same(asked, [path])
    t.equal(await untilClosed(before), '')
    t.ok(statSync(path).isSocket(), 'it is not removed here')
    t.equal(await untilClosed(connect(path)), '', 'nobody is served')
  },
)

t.test('a unix path that is too long is refused, not cut', async t => {
  const path = `/tmp/${'x'.repeat(103)}`
  const options = { address: { kind: 'unix', path } as const, auth: null, render: () => '', log: () => {} }
  await t.rejects(startMetricsEndpoint(options), {
    exitCode: 78,
    message: /^cannot serve metrics: metrics=.*at most 107 fit/,
  })
})

t.test('a stale unix socket is replaced', async t => {
  const path = socketPath(t)
  // What kill -9 leaves: libuv unlinks the name that it bound, so bind another one and move it.
  const dead = createServer().listen(`${path}.first`)
  await once(dead, 'listening')
  renameSync(`${path}.first`, path)
  dead.close()
  await once(dead, 'close')
  t.ok(statSync(path).isSocket(), 'there is one')
  const endpoint = await startMetricsEndpoint({
    address: { kind: 'unix', path },
    auth: null,
    render: () => '',
    log: () => {},
  })
  await endpoint.close()
})

const slow: [string, string, RegExp][] = [
  ['says nothing', '', /^(HTTP\/1\.1 408[\s\S]*)?$/],
  ['never ends its head', 'GET /metrics HTTP/1.1\r\nHost: x\r\n', /^(HTTP\/1\.1 408[\s\S]*)?$/],
  [
    'never sends its body',
    'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n',
    /^HTTP\/1\.1 200[\s\S]*connection: close/i,
  ],
  ['sends an endless head', `GET /metrics HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, /^$/],
  ['speaks no HTTP', '\x16\x03\x01\x02\x00\x01\x00', /^$/],
  ['stays idle after its answer', 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 200/],
]

for (const [title, text, expected] of slow) {
  t.test(`a client is let go that ${title}`, async t => {
    const { port } = await start(t, { limits: { headMs: 200, idleMs: 200 } })
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(text)
    t.match(await untilClosed(socket), expected)
    t.match(await ask(port), { status: 200 }, 'and the next one is served')
  })
}

t.test('a head that has come is read, however long the master could not look', async t => {
  const headMs = 100
  const { port } = await start(t, { limits: { headMs } })
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  // An answer on another connection proves that this one was accepted.
  t.match(await ask(port), { status: 200 })
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  for (const fromMs = performance.now(); performance.now() - fromMs < 5 * headMs; );
  t.match(await untilClosed(socket), /^HTTP\/1\.1 200/)
})

t.test('a client that does not read its answer is cut off', async t => {
  const { port } = await start(t, { limits: { responseMs: 300 }, render: () => 'x'.repeat(30_000_000) })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause().write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  // A paused socket notices nothing by itself; it does when it writes to a connection that was destroyed.
  const poke = setInterval(() => socket.write('\r\n'), 50)
  await new Promise(resolve => socket.once('close', resolve))
  clearInterval(poke)
  t.ok(socket.bytesRead < 30_000_000, `after ${socket.bytesRead} bytes`)
})

t.test('connections that are held keep nobody out: the one that is idle longest makes room', async t => {
  const { port } = await start(t, { limits: { connections: 3, headMs: 60_000 } })
  const idle = connect(port, '127.0.0.1')
  await once(idle, 'connect')
  const served = connect(port, '127.0.0.1')
  served.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(served, 'data')
  const half = connect(port, '127.0.0.1')
  half.write('GET /metrics HT')
  await once(half, 'connect')
  const ends: string[] = []
  for (const [name, socket] of Object.entries({ idle, served, half })) {
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).on('close', () => ends.push(name))
  }
  t.match(await ask(port), { status: 200 }, 'a newcomer is served')
  await until(() => ends.length === 1)
  t.same(ends, ['idle'])
  const newcomers = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  for (const socket of newcomers) t.teardown(() => socket.destroy())
  await until(() => ends.length === 2)
  t.same(ends, ['idle', 'half'], 'one that asks for metrics now and then goes last')
  served.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  const [chunk] = await once(served, 'data')
  t.match(String(chunk), /^HTTP\/1\.1 200/, 'and is still served')
})

t.test('guessers who hold all connections do not keep the password out', async t => {
  const { port } = await start(t, { auth: `ali:${await hashPassword('sesame')}`, limits: { headMs: 60_000 } })
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  const held = Array.from({ length: 160 }, (_, at) => {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).resume()
    const authorization = basic(`ali:guess-${at}`).authorization
    if (at % 2 === 0) socket.write(`GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`)
    return once(socket, 'connect')
  })
  await Promise.all(held)
  const statuses: number[] = []
  while (statuses.at(-1) !== 200 && statuses.length < 10) {
    statuses.push((await ask(port, '/metrics', 'GET', basic('ali:sesame'))).status)
  }
  t.equal(statuses.at(-1), 200)
  t.notOk(statuses.includes(401), 'nor is it ever called wrong')
})

t.test('clients that do not read share one page, and are cut off when others wait', async t => {
  const page = Buffer.alloc(30_000_000, 'x')
  let renders = 0
  const { port } = await start(t, {
    render: () => {
      renders += 1
      return page
    },
  })
  const before = process.memoryUsage.rss()
  const held = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  for (const socket of held) {
    t.teardown(() => socket.destroy())
    socket
      .on('error', () => {})
      .pause()
      .write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  }
  await until(() => renders >= 8)
  t.match(await ask(port), { status: 200, headers: { 'content-length': '30000000' } }, 'who reads is served')
  const more = process.memoryUsage.rss() - before
  t.ok(more < 250_000_000, `${Math.round(more / 1e6)} MB more, the reader's own copies with them`)
})

t.test('a second request before the first is answered is refused', async t => {
  let finishRender = (_: string) => {}
  const rendered = new Promise<string>(resolve => {
    finishRender = resolve
  })
  const { port } = await start(t, { render: () => rendered })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'connect')
  // An answer on a connection of its own proves that both have been read.
  t.match(await ask(port, '/'), { status: 200 })
  finishRender('m 1\n')
  t.match(await untilClosed(socket), /^HTTP\/1\.1 200[\s\S]*m 1\nHTTP\/1\.1 503[\s\S]*retry-after: 1/i)
})
