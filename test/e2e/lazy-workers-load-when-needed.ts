/** With `lazy` the application is loaded when its first request comes, which waits for it, and a reload does not take over code that cannot be loaded. */

import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { request } from 'node:http'
import t from 'tap'
import { WebSocket } from 'ws'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** Loading blocks its loop for longer than `harakiri`. */
const slowApp = `
const endMs = performance.now() + 1200
while (performance.now() < endMs);
const { Counter } = require('prom-client')
const { WebSocketServer } = require('ws')
const asked = new Counter({ name: 'asked_total', help: 'Requests' })
const server = require('node:http').createServer((request, response) => {
  asked.inc()
  let bytes = 0
  request.on('data', chunk => { bytes += chunk.length })
  request.on('end', () => response.end(String(bytes)))
})
new WebSocketServer({ server }).on('connection', socket => socket.send('hello'))
server.listen(3000)
`
const quickApp = `require('node:http').createServer((request, response) => response.end('rice')).listen(3000)`
const body = 'x'.repeat(300_000)

/** The status of one answer of the worker itself. */
function askWorker(socketPath: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: '/', agent: false }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject).end()
  })
}

t.test('the first requests of each kind wait for the load, which no deadline of theirs counts', async t => {
  const site = new WatchedSite(t, ['lazy = true', 'harakiri = 1', 'metrics = 127.0.0.1:0'], {
    app: slowApp,
  })
  symlinkSync(`${topFolder}/node_modules`, site.path('node_modules'))
  const running = await site.serve()
  t.match(running.out(), /^ {2}workers {2}1 \(0 ready, 1 load at their first request\)/m)
  t.match(await site.run('status', site.ini), { out: /: pid \d+, 0 of 1 workers ready, 1 waiting for requests,/ })
  t.equal(sumOf(await scrape(running.metricsUrl), 'daimyo_workers', 'phase="waiting"'), 1)

  const socket = new WebSocket(running.url.replace('http', 'ws'))
  const [message, get, post] = await Promise.all([
    once(socket, 'message'),
    ask(running.url, '/'),
    ask(running.url, '/', { method: 'POST', body }),
  ])
  socket.close()
  t.equal(String(message[0]), 'hello')
  t.match(get, { status: 200, body: '0' })
  t.match(post, { status: 200, body: String(body.length) })
  await until('the application’s own metrics are there', async () => {
    return (await scrape(running.metricsUrl)).includes('\nasked_total 2\n')
  })
  t.match(running.out(), / worker-loading slot=1 .* why=first-request/)
  t.match(await site.end(running), { code: 0 })
})

t.test('so does whoever connects to a worker itself', async t => {
  const site = new WatchedSite(t, ['lazy = true'], { app: quickApp })
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  t.equal(worker?.phase, 'waiting')
  t.equal(await askWorker(worker!.socketPath), 200)
  const told = / worker-loading slot=1 .* why=direct-connection/
  await until('it is told', () => told.test(running.out()))
  await until('it serves', async () => (await site.status()).workers[0]?.phase === 'ready')
  t.equal(await askWorker(worker!.socketPath), 200, 'by the application’s own server')
  t.match(await site.end(running), { code: 0 })
})

t.test('what cannot be loaded is told, tried again at leisure, and not taken over by a reload', async t => {
  const expected = [/ worker-(load-failed|exit) .*(load-failed|reload)/, / reload-failed/, /^ {2}/]
  const site = new WatchedSite(t, ['lazy = true', 'http-queue-timeout = 3'], { app: 'exports.nothing = 0', expected })
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  await t.rejects(askWorker(worker!.socketPath), 'whoever waits at its own socket hears of it')
  const answers = await Promise.all(['GET', 'POST'].map(method => ask(running.url, '/', { method })))
  t.same(
    answers.map(({ status }) => status),
    [503, 503],
  )
  const loads = running.out().match(/ worker-loading /g)?.length ?? 0
  t.ok(loads >= 2 && loads <= 12, `${loads} loads`)
  const failed = / worker-load-failed slot=1 .*nothing in it can listen any more/
  await until('it is told', () => failed.test(running.out()))

  site.writeApp(quickApp)
  await until('it serves', async () => (await ask(running.url, '/')).status === 200)
  site.writeApp(`throw new Error('no rice today')`)
  t.match(await site.run('reload', site.ini), { code: 1, err: /^daimyo: reload failed: slot 1: .*no rice today/m })
  t.match(await ask(running.url, '/'), { status: 200, body: 'rice' })
  t.match(await site.end(running), { code: 0 })
})
