/** A master that is killed leaves nothing: every process is gone within two seconds, and the next start finds no obstacle. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { SteadyClient } from './fixtures/steady-client.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

const goneMs = 2000

t.test('while a worker is blocked and others are in use', async t => {
  const site = new WatchedSite(t, [...farmLines, 'processes = 3', 'metrics = 127.0.0.1:0', 'pidfile = %dsite.pid'])
  const running = await site.serve()
  const port = new URL(running.url).port
  await blockOneWorker(site, running.url)
  const client = new SteadyClient(t, running.url, 5, () => ({ path: '/api/v1/whoami' }))
  await until('the others answer', () => client.replies.length > 20)
  t.ok(site.processes().length >= 5, 'a master, a proxy and three workers run')

  process.kill(running.pid, 'SIGKILL')
  await until('no process is left', () => site.processes().length === 0, goneMs).catch(() => {})
  t.same(site.processes(), [], `after ${goneMs} ms`)
  await client.stop()
  t.match(await running.ended, { code: null })

  site.writeIni([...farmLines, `http = 127.0.0.1:${port}`, 'metrics = 127.0.0.1:0', 'pidfile = %dsite.pid'])
  const next = await site.serve()
  t.match(
    await ask(next.url, '/api/v1/_about'),
    { status: 200 },
    'the next one starts in the same folder, on the same port',
  )
  t.match(await site.end(next), { code: 0 })
})

/** Resolves when a worker is in `burn` and nothing else can reach it. */
async function blockOneWorker(site: WatchedSite, url: string): Promise<void> {
  const pids = new Set((await site.status()).workers.map(({ pid }) => pid))
  ask(url, '/api/v1/burn?ms=60000').catch(() => {}) // its server is killed
  await until('a worker is busy and does not answer itself', async () => {
    const { workers } = await site.status()
    return workers.some(({ pid, inFlight }) => pids.has(pid) && inFlight > 0)
  })
}
