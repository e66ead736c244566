/**
 * When workers and queue are full, a request more gets 503 at once, and files and `/metrics` are answered as ever; what waits is served in its order when there
 * is room again.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { watchLostTime } from '../kit/fixtures/lost-time.js'
import { type RawAnswer, RawClient, request } from '../proxy/fixtures/raw-client.js'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const busy = 2
const queue = 20
const refused = 300
/** Where a second core does something else too. */
const mostMs = 1000 * timeFactor

/** Answers with the order in which it got the requests; one with a body when that is there. */
const app = `
let order = 0
require('node:http').createServer((request, response) => {
  const got = String(order++)
  request.on('end', () => response.end(got)).resume()
}).listen(3000)
`

t.test(`${queue} wait, ${refused} more are refused`, async t => {
  const site = new WatchedSite(
    t,
    [
      'processes = 1',
      `worker-connections = ${busy}`,
      `http-queue = ${queue}`,
      'http-queue-timeout = 60',
      'metrics = 127.0.0.1:0',
      'metrics-path = /own-metrics',
      'static-map = /files=%dfiles',
    ],
    { app },
  )
  mkdirSync(site.path('files'))
  writeFileSync(site.path('files/a.txt'), 'a file')
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const open = (count: number) => Promise.all(Array.from({ length: count }, () => RawClient.open(port)))
  const queued = async () => sumOf(await scrape(running.metricsUrl), 'daimyo_queued_requests')

  const holding = await open(busy)
  for (const client of holding) client.send(request('POST', '/', ['Content-Length: 1']))
  await until('the worker is full', async () => (await site.status()).workers[0]?.inFlight === busy)
  const waiting = await open(queue)
  const answers: Promise<RawAnswer>[] = []
  for (const client of waiting) {
    client.send(request('GET', '/'))
    answers.push(client.answer())
  }
  await until('the queue is full', async () => (await queued()) === queue)

  const more = await open(refused)
  const lostMs = watchLostTime(t)
  const tookMs = await Promise.all(
    more.map(async client => {
      const startMs = performance.now()
      client.send(request('GET', '/'))
      const answer = await client.answer()
      t.match(answer, { status: 503, fields: { 'retry-after': '1', connection: 'keep-alive' } })
      return performance.now() - startMs
    }),
  )
  t.ok(Math.max(...tookMs) < mostMs + lostMs(), `${refused} refusals within ${Math.max(...tookMs).toFixed(0)} ms`)
  t.match(await ask(running.url, '/files/a.txt'), { status: 200, body: 'a file' })
  t.match(await ask(running.url, '/own-metrics'), { status: 200 })
  await until('they are counted', async () => {
    return sumOf(await scrape(running.metricsUrl), 'daimyo_error_answers_total', 'reason="queue-full"') === refused
  })

  for (const client of holding) client.send('x')
  const got = (await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`)
  t.same(
    got,
    Array.from({ length: queue }, (_, index) => `200 ${busy + index}`),
    'who waited is served in order',
  )
  await until('nobody waits', async () => (await queued()) === 0)
  more[0]?.send(request('GET', '/'))
  t.equal((await more[0]?.answer())?.status, 200, 'who was refused may ask again')
  for (const client of [...holding, ...waiting, ...more]) client.socket.destroy()
  t.match(await site.end(running), { code: 0 })
})
