/** A proxy that is killed loses its own connections and never the port: who connects next waits for its successor, a second at most. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const withinMs = 1000 * timeFactor
const expected = [/ proxy-exit .*signal=SIGKILL why=died/]

t.test('the only proxy', async t => {
  const site = new WatchedSite(t, farmLines, { expected })
  const running = await site.serve()
  for (const round of ['first', 'second']) {
    const victim = (await site.status()).proxies[0]?.pid ?? 0
    process.kill(victim, 'SIGKILL')
    // The kernel may still hand a connection to the dying process: that one is reset, and asking again is fair.
    await until('the port answers', async () => (await ask(running.url, '/api/v1/_about')).status === 200, withinMs)
    t.match(await ask(running.url, '/'), { status: 200 }, `files too, the ${round} time`)
    await untilProxies(site, 1, victim)
  }
  t.match(await site.end(running), { code: 0 })
})

t.test('one of two', async t => {
  const site = new WatchedSite(t, [...farmLines, 'http-processes = 2'], { expected })
  const running = await site.serve()
  const client = new SteadyClient(t, running.url, 5, () => {
    return { path: '/api/v1/_about', headers: { connection: 'close' } }
  })
  const victim = (await site.status()).proxies[0]?.pid ?? 0
  await until('the client is served', () => client.replies.length > 20)
  process.kill(victim, 'SIGKILL')
  await untilProxies(site, 2, victim)
  const replies = await client.stop()
  const errors = new Set(
    replies.filter(({ status }) => status !== 200).map(({ status, error }) => `${status} ${error}`),
  )
  errors.delete('0 ECONNRESET')
  t.same([...errors], [], 'nobody is refused or answered wrongly; those of the dead proxy see a reset')
  t.ok(replies.filter(({ status }) => status === 200).length > 20, 'and the others are answered')
  t.match(await site.end(running), { code: 0 })
})

async function untilProxies(site: WatchedSite, count: number, gone: number): Promise<void> {
  await until(`${count} proxies listen`, async () => {
    const { proxies } = await site.status()
    const listening = proxies.filter(({ pid, phase }) => phase === 'listening' && pid !== gone)
    return listening.length === count
  })
}
