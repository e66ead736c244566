/** Twelve reloads under load: no GET fails, and no POST fails or is executed twice. */

import t from 'tap'
import { needsLoad, startLoad } from './fixtures/load.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const reloads = 12

t.setTimeout(300_000 * timeFactor)

t.test(`${reloads} times SIGHUP`, needsLoad, async t => {
  const site = new WatchedSite(t, [...farmLines, 'metrics = 127.0.0.1:0', 'logto = %dsite.log'])
  const running = await site.serve()
  const load = await startLoad(t, site, running.url, '/api/v1/_about')
  const posts = new SteadyClient(t, running.url, 10, number => {
    return { method: 'POST', path: '/api/v1/echo', body: bodyOf(number) }
  })
  const pids = new Set<number | null>()
  for (let reload = 1; reload <= reloads; reload++) {
    for (const { pid } of (await site.status()).workers) pids.add(pid)
    await reloadOnce(site, running.pid, reload + 1)
  }
  const { requests, failures } = await load.stop()
  const replies = await posts.stop()
  t.comment(`${requests} GETs, ${replies.length} POSTs`)
  t.same(failures, [], 'no GET failed')
  t.ok(requests > reloads * 100, 'there were GETs')
  t.same(failuresAmong(replies), [], 'no POST failed')
  t.ok(
    replies.every(({ number, body }) => body === bodyOf(number)),
    'every POST has its own body back',
  )
  t.equal(pids.size, reloads * 2, 'every reload replaced every worker')

  // A worker that leaves tells its last figures: afterwards nothing is missing.
  await reloadOnce(site, running.pid, reloads + 2)
  const executed = sumOf(await scrape(running.metricsUrl), 'farm_requests_total', 'endpoint="echo"')
  t.equal(executed, replies.length, 'every POST was executed once')
  t.match(await site.end(running), { code: 0 })
})

/** From some bytes to more than what may be on its way to an application at once. */
function bodyOf(number: number): string {
  return `grain ${number} `.repeat(1 + (number % 28) ** 3)
}

async function reloadOnce(site: WatchedSite, masterPid: number, generation: number): Promise<void> {
  process.kill(masterPid, 'SIGHUP')
  await until(`generation ${generation} is alone`, async () => {
    const { workers, reloading } = await site.status()
    return !reloading && workers.every(worker => worker.generation === generation && worker.phase === 'ready')
  })
}
