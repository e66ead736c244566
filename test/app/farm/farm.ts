/** Tests `app/farm/farm.js` as it is: run by itself, asked over HTTP. */

import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'
import { ask, DEADLINE_MS, startProgram, topFolder } from '../fixtures/program.js'

const version = JSON.parse(readFileSync(join(topFolder, 'package.json'), 'utf8')).version
const signal = () => AbortSignal.timeout(DEADLINE_MS)

/** A farm on a port of its own; `metrics` reads its registry. */
async function startFarm(t: Test, env: Record<string, string> = {}) {
  const preload = join(topFolder, 'test/applications/metrics-on-request.mjs')
  const farm = startProgram(t, ['--import', preload, join(topFolder, 'app/farm/farm.js')], { PORT: '0', ...env })
  const [, port] = await farm.printed(/listens on http:\/\/127\.0\.0\.1:(\d+)\/\n/)
  const metrics = async (): Promise<string> => {
    farm.child.send('metrics')
    return (await once(farm.child, 'message', { signal: signal() }))[0]
  }
  const target = { host: '127.0.0.1', port: Number(port) }
  return { ...farm, target, metrics, get: (path: string, method = 'GET') => ask({ ...target, path, method }) }
}

/** The answer's head, and a body that is still coming; the test's end closes it. */
async function openResponse(t: Test, options: RequestOptions): Promise<IncomingMessage> {
  const sent = request({ agent: false, ...options }).end()
  const [response] = await once(sent, 'response', { signal: signal() })
  sent.on('error', () => {}) // ECONNRESET of our own `destroy`
  t.teardown(() => sent.destroy())
  return response
}

async function untilMetrics(metrics: () => Promise<string>, expected: RegExp): Promise<void> {
  for (;;) if (expected.test(await metrics())) return
}

t.test('what it says of itself', async t => {
  const { get, child } = await startFarm(t)
  const about = await get('/api/v1/_about')
  t.equal(about.text, `{"name":"farm","version":"${version}"}\n`)
  t.match(about, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } })
  t.equal(about.headers['content-length'], String(about.text.length))
  const config = JSON.parse((await get('/api/v1/_config')).text)
  t.match(config, { farm: { title: 'The farm' }, limits: { sleep_ms: 600_000 }, granary: { api_token: '***' } })
  t.equal(config.granary.url, 'postgres://***@127.0.0.1:5432/granary')
  t.match(JSON.parse((await get('/api/v1/whoami?x=1')).text), {
    pid: child.pid,
    slot: null,
    remoteAddress: '127.0.0.1',
    method: 'GET',
    url: '/api/v1/whoami?x=1',
    headers: { host: /127\.0\.0\.1/ },
  })
})

t.test('in a slot it names it, and announces no address', async t => {
  const scratch = scratchFolder(t)
  const path = join(topFolder, 'test/applications/load.mjs')
  const host = new URL('../../../app/host', import.meta.url).pathname
  const socketPath = join(scratch, 's')
  const args = [path, host, socketPath, join(topFolder, 'app/farm/farm.js')]
  const { child, ended, printed } = startProgram(t, args, { DAIMYO_SLOT: '3' })
  await once(child, 'message', { signal: signal() })
  t.match(JSON.parse((await ask({ socketPath, path: '/api/v1/whoami' })).text), { slot: '3', remoteAddress: null })
  child.kill()
  await ended
  await t.rejects(printed(/./))
})

/** Method, target, status and what the answer's JSON is or matches. */
const answers: [string, string, number, object][] = [
  ['GET', '/api/v1/sleep?ms=1', 200, { sleptMs: 1 }],
  ['GET', '/api/v1/sleep?ms=0', 200, { sleptMs: 0 }],
  ['GET', '/api/v1/burn?ms=5', 200, { burntMs: 5 }],
  ['GET', '/api/v1/sleep?ms=', 400, { error: /^ms=: a whole number from 0 to 600000 is accepted \(default 1000\)$/ }],
  ['GET', '/api/v1/sleep?ms=-1', 400, { error: /^ms=-1: a whole number/ }],
  ['GET', '/api/v1/sleep?ms=1e3', 400, { error: /^ms=1e3: a whole number/ }],
  ['GET', '/api/v1/sleep?ms=600001', 400, { error: /from 0 to 600000/ }],
  ['GET', '/api/v1/sleep?ms=1&ms=2', 400, { error: /^ms: given 2 times, once is accepted$/ }],
  ['GET', '/api/v1/burn?ms=long', 400, { error: /^ms=long: a whole number from 0 to 600000/ }],
  ['GET', '/api/v1/stream?bytes=0x10', 400, { error: /^bytes=0x10: a whole number from 0 to 1099511627776/ }],
  ['GET', '/api/v1/events?ms=9', 400, { error: /^ms=9: a whole number from 10 to 60000/ }],
  ['POST', '/api/v1/echo?discard=yes', 400, { error: /^discard=yes: 0 or 1 is accepted/ }],
  ['GET', '/api/v1/ws', 426, { error: /WebSocket/ }],
  ['GET', '/api/v1/nothing', 404, { error: 'no such endpoint: /api/v1/nothing' }],
  ['GET', '/api/v1/_about/', 404, { error: 'no such endpoint: /api/v1/_about/' }],
  ['GET', '/api/v1/constructor', 404, { error: /no such endpoint/ }],
  ['GET', '/../conf/farm.cfg', 404, { error: /no such endpoint/ }],
  ['GET', '*', 404, { error: /no such endpoint/ }],
]

t.test('right and wrong parameters', async t => {
  const { get } = await startFarm(t)
  for (const [method, target, status, expected] of answers) {
    const { text, ...answer } = await get(target, method)
    t.equal(answer.status, status, `${method} ${target}`)
    t.match(answer.headers['content-type'], /^application\/json/)
    t.match(JSON.parse(text), expected)
  }
})

const wrongMethods: [string, string, string][] = [
  ['POST', '/api/v1/_about', 'GET, HEAD'],
  ['GET', '/api/v1/echo', 'POST, PUT'],
  ['DELETE', '/api/v1/echo', 'POST, PUT'],
  ['HEAD', '/api/v1/events', 'GET'],
  ['PUT', '/api/v1/crash', 'GET, POST'],
  ['POST', '/', 'GET, HEAD'],
]

t.test('a wrong method is told the right ones', async t => {
  const { get } = await startFarm(t)
  for (const [method, path, allow] of wrongMethods) {
    t.match(await get(path, method), { status: 405, headers: { allow } }, `${method} ${path}`)
  }
})

t.test('HEAD says how long the answer would be', async t => {
  const { get } = await startFarm(t)
  for (const path of ['/api/v1/_about', '/api/v1/stream?bytes=1000000', '/']) {
    const full = await get(path)
    const head = await get(path, 'HEAD')
    t.equal(head.text, '')
    t.equal(head.headers['content-length'], full.headers['content-length'], path)
  }
})

t.test('the site', async t => {
  const { get } = await startFarm(t)
  const page = await get('/')
  t.match(page, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
  t.equal((await get('/index.html')).text, page.text)
  const names = [...page.text.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, name]) => name ?? '')
  t.strictSame([...new Set(names)].sort(), ['app.js', 'icon.svg', 'style.css'], 'nothing from elsewhere')
  for (const name of names)
    t.match(await get(`/${name}`), { status: 200, headers: { 'content-type': /^(text|image)\// } }, name)
})

/** How many of a kind the page has, which its grids show in one, two or four columns. */
t.test('the grids of the site have no hole', async t => {
  const { get } = await startFarm(t)
  const { text } = await get('/')
  const style = (await get('/style.css')).text
  const columns = [...style.matchAll(/repeat\((\d+), minmax\(0, 1fr\)\)/g)].map(([, count]) => Number(count))
  t.same(columns, [2, 4])
  t.notMatch(style, /auto-fi(ll|t)/, 'as many as there is room for would leave one')
  const facts = text
    .split('<dl class="facts">')
    .slice(1)
    .map(list => (list.split('</dl>')[0] ?? '').split('<dt>').length - 1)
  const cards = text.split(/<form class="card/).length - 1
  for (const count of [...facts, cards]) for (const each of columns) t.equal(count % each, 0, `${count} in ${each}`)
})

t.test('the page asks for the metrics where conf/farm.ini has them', async t => {
  const { get } = await startFarm(t)
  const script = (await get('/app.js')).text
  const ini = readFileSync(join(topFolder, 'conf/farm.ini'), 'utf8')
  const [, path = '-'] = /^metrics-path = (.*)$/m.exec(ini) ?? []
  t.ok(script.includes(`\${API}${path.replace('/api/v1', '')}`), path)
  t.match(await get('/api/v1/metrics'), { status: 404 }, 'by itself it has none')
})

t.test('echo', async t => {
  const { target } = await startFarm(t)
  const body = Buffer.alloc(3_000_000, 'field after field ')
  const echo = (path: string, method: string, headers = {}) => ask({ ...target, path, method, body, headers })
  for (const method of ['POST', 'PUT']) {
    const { text, headers } = await echo('/api/v1/echo', method, { 'content-type': 'text/rice' })
    t.ok(text === body.toString(), method)
    t.match(headers, { 'content-type': 'text/rice', 'content-length': String(body.length) })
  }
  const chunked = await echo('/api/v1/echo?discard=0', 'POST', { 'transfer-encoding': 'chunked' })
  t.ok(chunked.text === body.toString(), 'chunked')
  t.match(chunked.headers, { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' })
  t.equal((await echo('/api/v1/echo?discard=1', 'POST')).text, `{"bytes":${body.length}}\n`)
})

t.test('a stream of any length', async t => {
  const { get } = await startFarm(t)
  for (const bytes of [0, 1, 64, 65_535, 65_536, 65_537, 1_000_000]) {
    const { text, headers } = await get(`/api/v1/stream?bytes=${bytes}`)
    t.equal(text.length, bytes)
    t.equal(headers['content-length'], String(bytes))
  }
  t.match((await get('/api/v1/stream?bytes=128')).text, /^(rice, row by row[ -~]{47}\n){2}$/)
})

const hasProc = existsSync('/proc/self/status')

t.test('a stream that nobody reads waits', { skip: !hasProc && 'needs /proc' }, async t => {
  const { target, get, child } = await startFarm(t)
  const response = await openResponse(t, { ...target, path: '/api/v1/stream?bytes=100000000000' })
  await once(response, 'readable', { signal: signal() })
  const residentBytes = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024
  const before = residentBytes()
  // Each answer is a turn in which a stream without a limit would have gone on.
  for (let turn = 0; turn < 200; turn++) await get('/api/v1/_about')
  t.ok(residentBytes() - before < 50e6, 'bounded memory')
})

t.test('events', async t => {
  const { target, metrics } = await startFarm(t)
  const headers = { 'last-event-id': '41' }
  const response = await openResponse(t, { ...target, path: '/api/v1/events?ms=10', headers })
  t.equal(response.headers['content-type'], 'text/event-stream')
  let text = ''
  for await (const piece of response.setEncoding('utf8')) {
    text += piece
    if (text.includes('id: 44\n')) break
  }
  t.match(text, /^retry: 1000\n\nid: 42\nevent: tick\ndata: \{"tick":42,"time":"[^"]+","pid":\d+\}\n\nid: 43\n/)
  await untilMetrics(metrics, /^farm_open_streams\{kind="events"\} 0$/m)
  t.pass('the end was seen')
})

t.test('WebSocket', async t => {
  const { target, metrics } = await startFarm(t)
  const webSocket = new WebSocket(`ws://127.0.0.1:${target.port}/api/v1/ws?x=1`)
  await once(webSocket, 'open', { signal: signal() })
  t.match(await metrics(), /^farm_open_streams\{kind="ws"\} 1$/m)
  for (const [sent, binary] of [
    ['rice', false],
    ['', false],
    [Buffer.from([0, 255]), true],
  ] as const) {
    webSocket.send(sent)
    const [data, isBinary] = await once(webSocket, 'message', { signal: signal() })
    t.strictSame([Buffer.from(sent).equals(data), isBinary], [true, binary])
  }
  webSocket.send(Buffer.alloc(1_048_577))
  t.equal((await once(webSocket, 'close', { signal: signal() }))[0], 1009, 'a message too big closes it')
  await untilMetrics(metrics, /^farm_open_streams\{kind="ws"\} 0$/m)
})

const upgrades: [string, string, RegExp][] = [
  [
    'a WebSocket elsewhere',
    'GET /api/v1/_about HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  [
    'another protocol',
    'GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  ['no key', 'GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n', /^HTTP\/1\.1 400 /],
]

t.test('upgrades that are refused', async t => {
  const { target, get } = await startFarm(t)
  for (const [title, head, expected] of upgrades) {
    const socket = connect(target.port, target.host).setEncoding('utf8')
    socket.end(`${head}\r\n`)
    let text = ''
    for await (const piece of socket) text += piece
    t.match(text, expected, title)
  }
  t.match(await get('/api/v1/_about'), { status: 200 }, 'it lives')
})

t.test('crash', async t => {
  const { get, ended, complained } = await startFarm(t)
  await t.rejects(get('/api/v1/crash', 'POST'), { code: 'ECONNRESET' })
  t.strictSame(await ended, { code: 1, signal: null })
  await complained(/Error: crash: \/api\/v1\/crash was asked\n +at /)
})

t.test('metrics', async t => {
  const { target, get, metrics } = await startFarm(t)
  t.match(await metrics(), /^farm_requests_total\{endpoint="_about"\} 0$/m, 'there from the start')
  for (let times = 0; times < 3; times++) await get('/api/v1/_about')
  await get('/api/v1/sleep?ms=30')
  await get('/api/v1/sleep?ms=none')
  await get('/api/v1/nowhere/1')
  await get('/api/v1/nowhere/2')
  await get('/')
  await ask({ ...target, path: '/api/v1/echo', method: 'POST', body: 'rice' })
  await untilMetrics(metrics, /^farm_request_duration_seconds_count\{endpoint="echo"\} 1$/m)
  const text = await metrics()
  for (const line of [
    `farm_info{name="farm",version="${version}"} 1`,
    'farm_requests_total{endpoint="_about"} 3',
    'farm_requests_total{endpoint="sleep"} 2',
    'farm_requests_total{endpoint="unknown"} 2',
    'farm_requests_total{endpoint="site"} 1',
    'farm_request_duration_seconds_count{endpoint="_about"} 3',
    'farm_request_duration_seconds_bucket{le="+Inf",endpoint="sleep"} 2',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  // One slept 30 ms; the other one may take as long on a busy machine.
  t.match(text, /^farm_request_duration_seconds_bucket\{le="0\.025",endpoint="sleep"\} [01]$/m)
  t.notMatch(text, /^(process|nodejs)_/m, 'nothing about the process: the server in front has that')
})

const settings: [string, string, RegExp][] = [
  [
    'a limit that is no number',
    '[limits]\nsleep_ms = long\n',
    /settings not read: .*farm\.cfg: \[limits\] sleep_ms=long: a whole number is accepted/,
  ],
  ['a negative limit', '[limits]\nburn_ms = -1\n', /\[limits\] burn_ms=-1: a whole number is accepted/],
]

t.test('settings that cannot be used stop the start', async t => {
  for (const [title, text, expected] of settings) {
    await t.test(title, async t => {
      const path = join(scratchFolder(t), 'farm.cfg')
      writeFileSync(path, text)
      await refuses(t, path, expected)
    })
  }
  await t.test('no file', t => refuses(t, join(scratchFolder(t), 'farm.cfg'), /settings not read: .*farm\.cfg: ENOENT/))
})

async function refuses(t: Test, path: string, expected: RegExp): Promise<void> {
  const farm = startProgram(t, [join(topFolder, 'app/farm/farm.js')], { PORT: '0', FARM_CONFIG: path })
  t.strictSame(await farm.ended, { code: 1, signal: null })
  await farm.complained(expected)
}

t.test('settings of its own', async t => {
  const path = join(scratchFolder(t), 'farm.cfg')
  writeFileSync(
    path,
    '[limits]\nsleep_ms = 5\n[__proto__]\npolluted = yes\n[mail.smtp]\nPassword = x\nsigning-key = y\nmonkey = z\nhosts[] = amqp://a:b@c\n',
  )
  const { get } = await startFarm(t, { FARM_CONFIG: path })
  t.match(await get('/api/v1/sleep?ms=6'), { status: 400, text: /from 0 to 5 / })
  const config = JSON.parse((await get('/api/v1/_config')).text)
  t.strictSame(config.mail, { smtp: { Password: '***', 'signing-key': '***', monkey: 'z', hosts: ['amqp://***@c'] } })
  t.notMatch(JSON.stringify(config), /polluted/)
})
