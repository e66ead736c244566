/**
 * A request that blocks its worker gets a 504 at the deadline and its worker a successor; a request that only waits gets a 504 and its
 * worker lives on. In both cases nobody beside it fails.
 */

import { join } from 'node:path'
import t from 'tap'
import { watchLostTime } from '../kit/fixtures/lost-time.js'
import { type Asked, ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

const lines = [...farmLines, 'harakiri = 3']
const everyMs = 1000 / 32
const [deadlineMs, answeredMs] = [3000, 4500 * timeFactor]
const lostMs = watchLostTime(t)
/** From the 504 to the end of the worker. */
const killedMs = 1000
/** From the deadline to the end of the worker, in all. */
const detectedMs = 1000 * timeFactor
/** The place of the one that blocks, in a burst. */
const GUILTY = 20
const POSTED = { method: 'POST', body: 'rice' }

t.test('a blocked loop', async t => {
  const expected = [/ request-harakiri /, / worker-harakiri .*burn/, / worker-exit .*signal=SIGKILL why=harakiri/]
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  const before = await pidsOf(site)
  const neighbours = new SteadyClient(t, running.url, everyMs, () => ({ path: '/api/v1/whoami' }))
  await until('the neighbours are answered', () => neighbours.replies.length > 32)
  t.match(await timed('/api/v1/burn?ms=60000', running.url), { status: 504, late: false, early: false })
  const died = async () => (await pidsOf(site)).filter(pid => before.includes(pid)).length === 1
  await until('the blocked worker is dead', died, killedMs)
  await site.untilReady()
  const replies = await neighbours.stop()
  t.same(failuresAmong(replies), [], 'no neighbour failed')
  t.ok(replies.length > 64, `there were neighbours: ${replies.length}`)
  t.ok(await died(), 'the other worker is the same')
  const told = running.out().match(/ worker-harakiri .*/g) ?? []
  t.equal(told.length, 1)
  t.match(
    told[0],
    / request="GET \/api\/v1\/burn" elapsedMs=\d+ at=\/.*\/app\/farm\/endpoints\.js:4\d stack=".+ \(\S+:\d+\)/,
  )
  t.match(await site.end(running), { code: 0 })
})

t.test('every way to block a loop is found in time, with its line where there is one', async t => {
  const cases: [path: string, at: RegExp, stack: RegExp][] = [
    ['turn', /^\/.*blocks\.cjs:1[012]$/, /^"turn \(\S+:1[012]\) < \(anonymous\) \(\S+blocks\.cjs:43\) < /],
    ['turnLater', /^\/.*blocks\.cjs:1[012]$/, /^"turn \(\S+:1[012]\) < turnLater \(/],
    ['match', /^\/.*blocks\.cjs:21$/, /^"test \(built-in\) < match \(/],
    ['wait', /^\/.*blocks\.cjs:25$/, /^"wait \(built-in\) < wait \(/],
    ['sleep', /^-$/, /^"none: a system call waits/],
    ['derive', /^-$/, /^"none: native code runs/],
  ]
  const [harakiriMs, processes] = [1000, 1]
  const app = join(topFolder, 'test/applications/blocks.cjs')
  const expected = [/ request-harakiri /, / worker-harakiri /, / worker-exit .*signal=SIGKILL why=harakiri/]
  const lines = [`app = ${app}`, `processes = ${processes}`, `harakiri = ${harakiriMs / 1000}`, 'mount = /']
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  // One after the other: two loops that burn are all that a small machine can do.
  for (let first = 0; first < cases.length; first += processes) {
    const batch = cases.slice(first, first + processes)
    const [sentMs, lostBeforeMs] = [performance.now(), lostMs()]
    const asked = batch.map(([path]) => ask(running.url, `/${path}?secret=1`))
    for (const { status } of await Promise.all(asked)) t.equal(status, 504)
    const exits = () => running.out().match(/ worker-exit .*why=harakiri/g)?.length ?? 0
    await until('the blocked workers are dead', () => exits() === first + batch.length)
    const lateMs = Math.round(performance.now() - sentMs - harakiriMs)
    const busyMs = lostMs() - lostBeforeMs
    t.ok(lateMs >= 0 && lateMs < detectedMs + busyMs, `all within ${lateMs} ms after their deadline`)
    await site.untilReady()
  }
  for (const [path, at, stack] of cases) {
    const [, place, calls] =
      new RegExp(` request="GET /${path}" elapsedMs=\\d+ at=(\\S+) stack=(".*?") `).exec(running.out()) ?? []
    t.match(place, at, path)
    t.match(calls, stack, path)
  }
  t.notMatch(
    running
      .out()
      .match(/ worker-harakiri .*/g)
      ?.join('\n'),
    /secret|\?/,
  )
  t.match(await site.end(running), { code: 0 })
})

t.test('a blocked loop and neighbours that arrive with its request', async t => {
  const expected = [/ request-harakiri /, / worker-harakiri .*burn/, / worker-exit .*signal=SIGKILL why=harakiri/]
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  // The first ones must not be executed twice.
  const burst: string[] = Array.from({ length: 24 }, (_, index) => (index < 6 ? 'echo' : 'whoami'))
  burst[GUILTY] = 'burn?ms=60000'
  const answers = await Promise.all(
    burst.map(path => timed(`/api/v1/${path}`, running.url, path === 'echo' ? POSTED : {})),
  )
  t.same(
    answers.map(({ status }) => status),
    burst.map((_, index) => (index === GUILTY ? 504 : 200)),
    'the guilty one is found among them',
  )
  t.match(answers[GUILTY], { late: false, early: false })
  await until('the blocked worker is dead', () => / worker-exit .*why=harakiri/.test(running.out()), killedMs)
  await site.untilReady()
  t.equal(running.out().match(/ worker-harakiri /g)?.length, 1, 'one worker died')
  t.match(await site.end(running), { code: 0 })
})

t.test('a request that waits for ever', async t => {
  const site = new WatchedSite(t, lines, { expected: [/ request-harakiri /] })
  const running = await site.serve()
  const before = await pidsOf(site)
  const neighbours = new SteadyClient(t, running.url, everyMs, () => ({ path: '/api/v1/whoami' }))
  const waiting = ['/api/v1/sleep?ms=600000', '/api/v1/sleep?ms=599999', '/api/v1/sleep?ms=599998']
  for (const answer of await Promise.all(waiting.map(path => timed(path, running.url)))) {
    t.match(answer, { status: 504, late: false, early: false })
  }
  const replies = await neighbours.stop()
  t.same(failuresAmong(replies), [], 'no neighbour failed')
  t.same(await pidsOf(site), before, 'the same workers go on')
  t.match(await site.end(running), { code: 0 })
})

/** The answer's status, and whether it came before the deadline or long after it. */
async function timed(
  path: string,
  url: string,
  asked: Asked = {},
): Promise<{ status: number; late: boolean; early: boolean; tookMs: number }> {
  const [sentMs, lostBeforeMs] = [performance.now(), lostMs()]
  const { status } = await ask(url, path, asked)
  const tookMs = performance.now() - sentMs
  return { status, early: tookMs < deadlineMs, late: tookMs > answeredMs + lostMs() - lostBeforeMs, tookMs }
}

async function pidsOf(site: WatchedSite): Promise<(number | null)[]> {
  return (await site.status()).workers.map(({ pid }) => pid)
}
