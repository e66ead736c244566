/**
 * Scrapers that ask for large metrics and do not read them cost the master and the proxies little memory, whatever the
 * workers ship, and keep nobody out who reads.
 */

import { readFileSync, symlinkSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Answer, ask } from './fixtures/asking.js'
import { sumOf } from './fixtures/metrics-page.js'
import { topFolder, until, WatchedSite } from './fixtures/watched-site.js'

const scrapers = 50
/** A worker's message stays below 4 MB; what the page shows of it, below 2 MB. */
const app = `
const { Gauge, Counter } = require('prom-client')
new Counter({ name: 'honest_total', help: 'h' }).inc(3)
const large = new Gauge({ name: 'large', help: 'l', labelNames: ['text'] })
for (let at = 0; at < 800; at++) large.set({ text: (process.pid + '-' + at + '-').padEnd(3900, 'x') }, at)
require('node:http').createServer((_, response) => response.end('ok')).listen()
`
const workers = 4
/** Fifty copies of the page would be 400 MB; one, what it is made from, and slots for a few of another age are less. */
const mostBytes = 160_000_000
const lines = [`processes = ${workers}`, 'mount = /app', 'metrics = 127.0.0.1:0', 'metrics-path = /metrics']
/** What is left out is told. */
const expected = [/ metrics-left-out /]

t.test('fifty that never read', async t => {
  const site = new WatchedSite(t, lines, { app, expected })
  symlinkSync(join(topFolder, 'node_modules'), site.path('node_modules'))
  const running = await site.serve()
  const doors: [title: string, url: string, pids: () => Promise<number[]>][] = [
    ['the listener', running.metricsUrl, async () => [running.pid]],
    [
      'the proxy',
      new URL('/metrics', running.url).href,
      async () => [running.pid, ...(await site.status()).proxies.map(({ pid }) => pid ?? 0)],
    ],
  ]
  await until('all workers have told theirs', async () => {
    const { body } = await read(running.metricsUrl)
    return sumOf(body, 'honest_total') === 3 * workers && body.length > 6_000_000
  })
  for (const [title, url, pids] of doors) {
    await t.test(title, async t => {
      const { body } = await read(url)
      t.ok(body.length < 9_000_000, `a worker has 2 MB of the page: ${body.length}`)
      t.match(body, /^daimyo_metrics_series_left_out\{name="large",why="limit"\} \d+$/m, 'the rest is counted')
      const before = await residentBytes(await pids())
      const held = Array.from({ length: scrapers }, () => hold(t, url))
      await Promise.all(held)
      for (let scrape = 1; scrape <= 5; scrape++)
        t.match((await read(url)).body, /^honest_total 12$/m, 'who reads gets it')
      const after = await residentBytes(await pids())
      after.forEach((bytes, at) => {
        const more = bytes - (before[at] ?? 0)
        t.ok(more < mostBytes, `${Math.round(more / 1e6)} MB more in process ${at + 1}`)
      })
    })
  }
  t.match(await ask(running.url, '/app'), { status: 200 }, 'and the application is served')
  t.match(await site.end(running), { code: 0 })
})

/** The page, for a scraper that comes back when there is no room. */
async function read(url: string): Promise<Answer> {
  let answer: Answer | null = null
  await until('the page', async () => {
    answer = await ask(url, new URL(url).pathname)
    return answer.status === 200
  })
  return answer as unknown as Answer
}

/** Asks and reads nothing, not even that the connection has ended. */
function hold(t: Test, url: string): Promise<Socket> {
  const { hostname, port, pathname } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {}).pause()
  return new Promise(resolve => {
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: a\r\n\r\n`, () => resolve(socket))
  })
}

async function residentBytes(pids: number[]): Promise<number[]> {
  return pids.map(pid => {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
    return Number(kilobytes) * 1024
  })
}
