/** Scaling, restarting a worker, pausing and resuming while clients ask: none of their requests fails, and each command tells the truth. */

import t from 'tap'
import { SteadyClient } from './fixtures/steady-client.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

t.test('orders under load', async t => {
  // The only worker's loop may be late for a second beside busy neighbours, and its requests wait meanwhile.
  const queued = 100
  const site = new WatchedSite(t, [...farmLines, `http-queue = ${queued}`])
  const running = await site.serve()
  const client = new SteadyClient(t, running.url, 10, number => ({
    method: number % 2 === 0 ? 'GET' : 'POST',
    path: '/api/v1/whoami',
  }))
  t.match(await site.run('scale', '4', site.ini), { code: 0, out: /scaled: 4 workers serve\n$/, err: '' })
  const before = (await site.status()).workers
  t.equal(before.filter(({ phase }) => phase === 'ready').length, 4)
  t.match(await site.run('restart-worker', '2', site.ini), {
    code: 0,
    out: /^slot 2: .*\nrestarted: slot 2\n$/,
    err: '',
  })
  const after = (await site.status()).workers
  t.same(
    after.map(({ pid }, at) => pid === before[at]?.pid),
    [true, false, true, true],
    'one slot has a new worker',
  )
  t.match(await site.run('scale', '1', site.ini), { code: 0, err: '' })
  t.equal((await site.untilReady()).workers.length, 1)

  t.match(await site.run('pause', site.ini), { code: 0, out: /^paused/ })
  t.match((await site.run('status', site.ini)).out, /, paused\n/)
  const heldFrom = client.sent
  await until('requests are held', () => client.sent > heldFrom + queued + 50)
  t.ok(client.replies.length < client.sent - queued - 40, 'more wait than the queue takes')
  t.match(await site.run('restart-worker', '1', site.ini), { code: 0, err: '' }, 'while it is paused')
  t.match(await site.run('resume', site.ini), { code: 0, out: 'resumed\n' })

  const replies = await client.stop()
  t.same(
    replies.filter(({ status }) => status === 0 || status >= 500),
    [],
    `no request failed of ${replies.length}`,
  )
  t.match(await site.run('restart-worker', '9', site.ini), { code: 1, err: /no slot 9: there are 1\n/ })
  t.match(await site.run('scale', '0', site.ini), {
    code: 1,
    err: /received 0: accepted a whole number from 1 to 1024/,
  })
  t.match(await site.run('logs', 'reopen', site.ini), { code: 0, err: '' })
  t.match(await site.end(running), { code: 0 })
})

t.test('a stop lets go what a pause holds', async t => {
  const site = new WatchedSite(t)
  const running = await site.serve()
  t.match(await site.run('pause', site.ini), { code: 0 })
  const client = new SteadyClient(t, running.url, 50, () => ({ path: '/api/v1/whoami' }))
  await until('some wait', () => client.sent > 3)
  const replies = client.stop()
  t.match(await site.end(running), { code: 0 })
  t.same(
    (await replies).filter(({ status }) => status !== 200),
    [],
  )
})
