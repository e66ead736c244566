/**
 * A request that needs more memory than there is has its worker taken by the kernel's OOM killer. It is not sent on and on, as a request is whose
 * workers a person kills: two workers at most, then its client is told; the third time it is held back. The others are answered.
 */

import { existsSync } from 'node:fs'
import t from 'tap'
import { boundMemory, needsMemoryGroup } from './fixtures/memory-group.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const application = `
const hoard = []
require('node:http').createServer((request, response) => {
  if (!request.url.startsWith('/eat')) return response.end(process.pid + '')
  setInterval(() => hoard.push(Buffer.alloc(8 << 20, 1)), 1)
}).listen(3000)
`
const BOUND_BYTES = 200 << 20

/**
 * Each worker by itself, from its start on: in one group the kernel may take a second process, an innocent one, while
 * the memory of the first is not free yet.
 */
function boundWorkers(t: { teardown(work: () => unknown): unknown }, running: { out(): string }): void {
  const seen = new Set<number>()
  const look = () => {
    for (const [, pid] of running.out().matchAll(/ worker-start .*pid=(\d+)/g)) {
      if (!seen.has(Number(pid)) && existsSync(`/proc/${pid}`)) boundMemory(t, Number(pid), BOUND_BYTES)
      seen.add(Number(pid))
    }
  }
  look()
  const timer = setInterval(look, 10)
  t.teardown(() => clearInterval(timer))
}

t.test('a request that eats', needsMemoryGroup, async t => {
  const expected = [/ worker-exit .*signal=SIGKILL why=out-of-memory/, / request-quarantined /]
  const site = new WatchedSite(t, ['processes = 3', 'lazy-apps = true'], { app: application, expected })
  const running = await site.serve()
  boundWorkers(t, running)
  const others = new SteadyClient(t, running.url, 20, () => ({ path: '/' }))
  const deaths = () => running.out().match(/ worker-exit .*why=out-of-memory/g)?.length ?? 0

  const eat = async () =>
    (await new SteadyClient(t, running.url, 3_600_000, () => ({ path: '/eat' })).stop())[0]?.status

  t.equal(await eat(), 502, 'its client is told')
  await until('both deaths are told', () => deaths() === 2)
  await site.untilReady()
  t.match(String(await eat()), /^50[23]$/)
  await until('it is held back', () => / request-quarantined .*deaths=3/.test(running.out()))
  await site.untilReady()
  t.equal(await eat(), 503)
  t.ok(deaths() <= 4, `${deaths()} workers died`)
  t.same(failuresAmong(await others.stop()), [], 'nobody else noticed')
  t.match(await site.end(running), { code: 0 })
})
