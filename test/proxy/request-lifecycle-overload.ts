/** More requests than workers can take: who waits, who is refused, how soon, and in which order they are served. */

import type { ServerResponse } from 'node:http'
import t from 'tap'
import { monotonicMs } from '../../proxy/process/clock.js'
import { type RawAnswer, type RawClient, request } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { tick } from './fixtures/signal.js'
import { watchTimerLag } from './fixtures/timer-lag.js'

const QUEUE = 50

type Crowd = { client: RawClient; answered: Promise<[RawAnswer, number]> }[]

/** So many clients, each with one request on its way, in order. */
async function crowd(rig: Rig, count: number, base = '/'): Promise<Crowd> {
  const clients: RawClient[] = []
  for (let index = 0; index < count; index++) clients.push(await rig.client())
  return clients.map((client, index) => {
    const startMs = monotonicMs()
    client.send(request('GET', `${base}${index}`))
    return { client, answered: client.answer().then(answer => [answer, monotonicMs() - startMs]) }
  })
}

t.test('a full queue answers 503 at once, and the queue is served in order', async t => {
  const held: ServerResponse[] = []
  const settings = { httpQueue: QUEUE, workerConnections: 1 }
  await withRig(t, { settings, workers: [(_, response) => void held.push(response)] }, async rig => {
    const waiting = await crowd(rig, QUEUE + 1)
    while (rig.lifecycle.workers.dispatcher.queued < QUEUE || held.length === 0) await tick()
    const lagMs = watchTimerLag(t)
    const slowestOf = async (requests: Promise<Crowd>, expected: object) => {
      const tookMs: number[] = []
      for (const { answered } of await requests) {
        const [answer, ms] = await answered
        t.match(answer, expected)
        tookMs.push(ms)
      }
      return Math.max(...tookMs)
    }
    const slowest = await slowestOf(crowd(rig, 200), { status: 503, fields: { 'retry-after': '1' } })
    // What this machine takes for as many that never think of a queue.
    const others = await slowestOf(crowd(rig, 200, '/%x'), { status: 400 })
    const within = `${slowest.toFixed(1)} ms, others within ${others.toFixed(1)} ms`
    t.ok(slowest < 1000 + 2 * (lagMs() + others), `200 refusals of one moment within ${within}`)
    for (let served = 0; served < waiting.length; served++) {
      while (held.length <= served) await tick()
      held[served]!.end()
      t.equal((await waiting[served]!.answered)[0].status, 200)
    }
    await rig.expectLines(QUEUE + 401)
    const served = rig.log.entries.filter(({ status }) => status === 200).map(({ title }) => title)
    t.same(
      served,
      Array.from({ length: QUEUE + 1 }, (_, index) => `GET /${index}`),
      'in the order of their coming',
    )
  })
})

t.test('a client that leaves frees its place', async t => {
  const held: ServerResponse[] = []
  const settings = { httpQueue: 2, workerConnections: 1 }
  await withRig(t, { settings, workers: [(_, response) => void held.push(response)] }, async rig => {
    const [, leaves, stays] = await crowd(rig, 3)
    while (rig.lifecycle.workers.dispatcher.queued < 2 || held.length === 0) await tick()
    leaves!.client.socket.destroy()
    while (rig.lifecycle.workers.dispatcher.queued > 1) await tick()
    const [late] = await crowd(rig, 1)
    while (rig.lifecycle.workers.dispatcher.queued < 2) await tick()
    for (let served = 0; served < 3; served++) {
      while (held.length === 0) await tick()
      held.shift()!.end()
    }
    for (const { answered } of [stays!, late!]) t.equal((await answered)[0].status, 200)
    await rig.expectLines(4)
  })
})

t.test('nobody waits longer than the time-out of the queue', async t => {
  const settings = { httpQueue: 1000, workerConnections: 1, httpQueueTimeoutMs: 300 }
  let seen = 0
  const slow = (_: unknown, response: ServerResponse) => {
    seen += 1
    setTimeout(() => response.end(), 10)
  }
  await withRig(t, { settings, workers: [slow] }, async rig => {
    const lagMs = watchTimerLag(t)
    const all = await Promise.all((await crowd(rig, 150)).map(({ answered }) => answered))
    const withStatus = (wanted: number) => all.filter(([{ status }]) => status === wanted).length
    t.ok(seen > 0 && seen < 100, `${seen} reached the application`)
    t.equal(withStatus(200), seen, 'they were served')
    t.equal(withStatus(503), 150 - seen, 'the others were told so')
    const tookMs = all.map(([, ms]) => ms).sort((a, b) => a - b)
    const p99 = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0
    t.ok(
      p99 < 300 + 300 + 2 * lagMs(),
      `99 % within ${p99.toFixed(0)} ms: the time-out, a sweep, and what the test itself takes`,
    )
    await rig.expectLines(150)
  })
})
