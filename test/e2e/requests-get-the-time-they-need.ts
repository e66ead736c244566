/** A deadline by path, one that the application sets itself, and what a blocked worker gets before it is killed. */

import { join } from 'node:path'
import t from 'tap'
import { watchLostTime } from '../kit/fixtures/lost-time.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

const app = `app = ${join(topFolder, 'test/applications/needs-time.cjs')}`
const expected = [/ request-harakiri /, / worker-harakiri /, / worker-exit .*why=harakiri/]

t.test('by path, and as the application says', async t => {
  const lines = [
    app,
    'harakiri = 1',
    'mount = /',
    'mount-harakiri = /long=60',
    'mount-harakiri = /long/short=1',
    'processes = 2',
  ]
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  const before = (await site.status()).workers.map(({ pid }) => pid)
  const cases: [path: string, status: number][] = [
    ['/wait?ms=2200', 504],
    ['/long/wait?ms=2200', 200],
    ['/long/short/wait?ms=2200', 504],
    ['/wait?ms=2200&seconds=30', 200],
    ['/wait?ms=2200&seconds=0', 200],
    ['/long/never?seconds=0.5', 504],
    ['/wait?ms=0&seconds=-1', 400],
    ['/wait?ms=0&seconds=86401', 400],
    ['/wait?ms=0&seconds=soon', 400],
  ]
  const [startMs, lostMs] = [performance.now(), watchLostTime(t)]
  const statuses = await Promise.all(cases.map(async ([path]) => (await ask(running.url, path)).status))
  t.same(
    statuses,
    cases.map(([, status]) => status),
  )
  t.ok(performance.now() - startMs < 4000 * timeFactor + lostMs())
  const blocked = await Promise.all(
    ['/long/turn?ms=2500', '/turn?ms=2500&seconds=30'].map(async path => (await ask(running.url, path)).status),
  )
  t.same(blocked, [200, 200], 'a blocked loop has its time too')
  t.same(
    (await site.status()).workers.map(({ pid }) => pid),
    before,
    'no worker died',
  )
  t.match(await site.end(running), { code: 0 })
})

t.test('a blocked worker that is left for a while', async t => {
  const lines = [app, 'harakiri = 1', 'mount = /', 'harakiri-graceful-timeout = 2']
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  const first = await ask(running.url, '/wait?ms=0')
  t.equal((await ask(running.url, '/turn?ms=2500')).status, 504)
  const second = await ask(running.url, '/wait?ms=0')
  t.equal(second.status, 200)
  t.not(second.body, first.body, 'its successor is there')
  const ends = () => running.out().match(/ worker-exit .*why=harakiri.*/g) ?? []
  await until('its loop turns again, and it ends by itself', () => ends().length === 1)
  t.match(ends()[0], / code=0 /)
  t.match(running.out(), /the application cleans up/)
  t.match(running.out(), / worker-harakiri .* request="GET \/turn" .* at=\S+needs-time\.cjs:6 .* gracefulMs=2000/)
  await site.untilReady()
  t.equal((await ask(running.url, '/turn?ms=60000')).status, 504)
  await until('one that does not is killed', () => ends().length === 2)
  t.match(ends()[1], / signal=SIGKILL /)
  await site.untilReady()
  t.match(await site.end(running), { code: 0 })
})
