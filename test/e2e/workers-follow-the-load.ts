/** Under load there are more workers, afterwards fewer, without a request that fails; and those that sleep wake up at the first request. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { needsLoad, startLoad } from './fixtures/load.js'
import { SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** Answers after 2 ms of work with its pid. */
const busyApp = `
require('node:http').createServer((request, response) => {
  const endMs = performance.now() + 2
  while (performance.now() < endMs);
  response.end(String(process.pid))
}).listen(3000)
`

const cheaper = [
  'processes = 3',
  'cheaper = 1',
  'cheaper-algo = busyness',
  'cheaper-overload = 1',
  'cheaper-busyness-multiplier = 2',
  'cheaper-step = 2',
  'disable-logging = true',
]

t.test('busyness', needsLoad, async t => {
  const site = new WatchedSite(t, cheaper, { app: busyApp })
  const running = await site.serve()
  t.equal((await site.status()).workers.length, 1)
  const load = await startLoad(t, site, running.url, '/')
  await until('all workers are there', async () => (await site.untilReady()).workers.length === 3)
  const { requests, failures } = await load.stop()
  t.same(failures, [], `no request failed of ${requests}`)
  const client = new SteadyClient(t, running.url, 100, () => ({ path: '/' }))
  await until('the others have gone', async () => (await site.untilReady()).workers.length === 1)
  const replies = await client.stop()
  t.same(
    replies.filter(({ status }) => status !== 200),
    [],
    `nor one of ${replies.length}`,
  )
  const wanted = [...running.out().matchAll(/ workers-wanted wanted=(\d)/g)].map(([, number]) => number).join('')
  t.equal(wanted, '321', 'up, then down, not to and fro')
  t.match(await site.end(running), { code: 0 })
})

t.test('cheap and idle', async t => {
  const site = new WatchedSite(t, ['processes = 2', 'cheap = true', 'idle = 2'])
  const running = await site.serve()
  t.match(await site.status(), { wanted: 0, workers: [] })
  const pids: string[][] = []
  for (const round of [1, 2]) {
    const asked = Array.from({ length: 10 }, (_, number) =>
      ask(running.url, '/', { method: number % 2 ? 'POST' : 'GET' }),
    )
    const answers = await Promise.all(asked)
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]), `round ${round}: all waited`)
    pids.push(answers.map(({ body }) => body))
    await until('all sleep again', async () => (await site.status()).workers.length === 0)
  }
  t.notOk(
    pids[1]?.some(pid => pids[0]?.includes(pid)),
    'by other workers than the first time',
  )
  t.match(await site.end(running), { code: 0 })
})
