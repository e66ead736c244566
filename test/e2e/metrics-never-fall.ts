/** The sum of a counter over all workers never falls: not when a worker is killed, not at a reload; and no scrape waits for a worker. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { failuresAmong, type Reply, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const lines = [...farmLines, 'metrics = 127.0.0.1:0', 'metrics-path = /api/v1/metrics']
/** How old a worker's last figures may be: a second, and what a busy machine adds. */
const lastMs = 1000 + 500 * timeFactor

t.test('when each worker is killed, and at a reload', async t => {
  const site = new WatchedSite(t, lines, { expected: [/ worker-exit .*signal=SIGKILL why=died/] })
  const running = await site.serve()
  const client = new SteadyClient(t, running.url, 5, () => ({ path: '/api/v1/whoami' }))
  const scraper = new SteadyClient(t, running.metricsUrl, 25, () => ({ path: '/metrics' }))
  const deaths: { pid: number; atMs: number }[] = []
  for (const { slot } of (await site.status()).workers) {
    // It has told something by then, or nothing could get lost.
    await until('a second of figures', () => sum(scraper) > 100 * (deaths.length + 1))
    const pid = (await site.untilReady()).workers.find(worker => worker.slot === slot)?.pid ?? 0
    process.kill(pid, 'SIGKILL')
    deaths.push({ pid, atMs: performance.now() })
    await until('it is reaped', async () => (await site.status()).workers.every(worker => worker.pid !== pid))
    await site.untilReady()
  }
  const replies = await client.stop()
  await reload(site, running.pid)
  await until('a page of afterwards', newPage(scraper))
  const killed = sum(scraper)
  const lost = replies.filter(reply => deaths.some(death => isInLastSecond(reply, death))).length
  t.same(failuresAmong(replies), [], 'no request failed')
  t.ok(killed >= replies.length - lost, `${killed} counted of ${replies.length}, at most ${lost} untold`)

  const more = new SteadyClient(t, running.url, 5, () => ({ path: '/api/v1/whoami' }))
  await until('some more requests', () => more.replies.length > 50)
  await reload(site, running.pid)
  const moreReplies = await more.stop()
  await reload(site, running.pid)
  await until('a page of afterwards', newPage(scraper))
  t.equal(sum(scraper), killed + moreReplies.length, 'a reload loses nothing')

  const pages = await scraper.stop()
  t.same(failuresAmong(pages), [], 'no scrape failed')
  const seen = pages.map(({ body, sentMs, endedMs }) => ({ sum: counted(body), sentMs, endedMs }))
  t.ok(seen.length > 50, `there were scrapes: ${seen.length}`)
  const fallen = seen.filter(page => seen.some(before => before.endedMs < page.sentMs && before.sum > page.sum))
  t.same(fallen, [], 'no scrape shows less than one before it')
  t.match(await site.end(running), { code: 0 })
})

t.test('while every worker is blocked', async t => {
  const site = new WatchedSite(t, lines)
  const running = await site.serve()
  t.match(await ask(running.url, '/api/v1/whoami'), { status: 200 })
  await until('its count is told', async () => counted(await scrape(running.metricsUrl)) === 1)
  const burning = [3001, 3002].map(ms => ask(running.url, `/api/v1/burn?ms=${ms}`))
  let burnt = 0
  for (const one of burning) void one.then(() => burnt++)
  await until('both are busy', async () => (await site.status()).workers.every(({ inFlight }) => inFlight > 0))
  for (const url of [running.metricsUrl, new URL('/api/v1/metrics', running.url).href]) {
    for (let count = 1; count <= 5; count++) t.equal(counted(await scrape(url)), 1)
  }
  t.equal(burnt, 0, 'all scrapes were answered before a worker was free')
  for (const { status } of await Promise.all(burning)) t.equal(status, 200)
  t.match(await site.end(running), { code: 0 })
})

function counted(page: string): number {
  return sumOf(page, 'farm_requests_total', 'endpoint="whoami"') ?? 0
}

/** What the last scrape says. */
function sum(scraper: SteadyClient): number {
  return counted(last(scraper)?.body ?? '')
}

/** Of those that have ended, the one that was sent last: a page that was asked for before may come behind it. */
function last({ replies }: SteadyClient): Reply | undefined {
  return replies.slice(-20).reduce((one, other) => (other.sentMs > one.sentMs ? other : one), replies.at(-1)!)
}

/**
 * Holds when the last page was begun after now. One is shared for four times as long as its making took (`kit/page/shared-page.ts`), and whoever asked first
 * waited for all of that.
 */
function newPage(scraper: SteadyClient): () => boolean {
  const sinceMs = performance.now()
  return () => {
    const longestMs = Math.max(...scraper.replies.map(({ sentMs, endedMs }) => endedMs - sentMs))
    return (last(scraper)?.sentMs ?? 0) > sinceMs + 5 * longestMs
  }
}

/** Asked again after the death of its worker, a request is counted by both. */
function isInLastSecond({ body, endedMs }: Reply, { pid, atMs }: { pid: number; atMs: number }): boolean {
  return (JSON.parse(body) as { pid: number }).pid === pid && endedMs > atMs - lastMs
}

/** A worker that leaves tells its last figures: afterwards what is counted is what happened. */
async function reload(site: WatchedSite, masterPid: number): Promise<void> {
  const { generation } = await site.status()
  process.kill(masterPid, 'SIGHUP')
  await until('the new generation is alone', async () => {
    const { workers, reloading } = await site.status()
    return !reloading && workers.every(worker => worker.generation === generation + 1)
  })
}
