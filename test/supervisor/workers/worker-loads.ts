/** The load of the workers over all proxies: `supervisor/workers/worker-loads.ts`. */

import t from 'tap'
import { WorkerLoads } from '../../../supervisor/workers/worker-loads.js'

const load = (workerId: number, requests: number, inFlight: number, lagMs: number) => ({
  workerId,
  requests,
  inFlight,
  lagMs,
  answered: requests,
  failed: inFlight,
  waitedMs: lagMs,
})
const nothing = { requests: 0, inFlight: 0, lagMs: null, answered: 0, failed: 0, waitedMs: 0 }

t.test('proxies add up, the worst lag counts, and the dead stay counted', t => {
  const loads = new WorkerLoads(() => true)
  t.same(loads.of(1), nothing)
  loads.update(1, [load(1, 10, 1, 5), load(2, 3, 0, 0)], 0, 2)
  loads.update(2, [load(1, 20, 2, 9)], 0, 3)
  t.same(loads.of(1), { requests: 30, inFlight: 3, lagMs: 9, answered: 30, failed: 3, waitedMs: 14 })
  t.equal(loads.queued, 5)
  loads.update(1, [load(1, 11, 0, 4)], 0, 0)
  t.equal(loads.queued, 3)
  t.match(loads.of(1), { requests: 31, inFlight: 2, lagMs: 9 })
  t.same(loads.of(2), nothing, 'no longer named')
  loads.proxyGone(2)
  t.match(loads.of(1), { requests: 31, inFlight: 0, lagMs: 4 })
  loads.update(2, [load(1, 1, 1, 0)], 0)
  t.match(loads.of(1), { requests: 32, inFlight: 1, lagMs: 4 })
  loads.workerGone(1)
  t.same(loads.of(1).requests, 12)
  t.end()
})

t.test('of workers that are not there nothing is kept', t => {
  const known = new Set([1, 2])
  const loads = new WorkerLoads(workerId => known.has(workerId))
  loads.update(1, [load(1, 10, 1, 5), load(2, 3, 0, 0), load(98, 7, 7, 7), load(99, 1, 1, 1)], 0)
  t.match(loads.of(1), { requests: 10 })
  t.same(loads.of(98), nothing, 'invented')
  known.delete(2)
  loads.workerGone(2)
  loads.proxyGone(1)
  for (const workerId of [2, 98, 99]) t.same(loads.of(workerId), nothing, 'also of a proxy that died')
  t.match(loads.of(1), { requests: 10 })
  loads.update(1, [load(2, 4, 0, 0)], 0)
  loads.proxyGone(1)
  t.same(loads.of(2), nothing, 'the last words came late')
  t.end()
})

t.test('a proxy that never told anything may die', t => {
  const loads = new WorkerLoads(() => true)
  loads.proxyGone(3)
  t.same(loads.of(1), nothing)
  t.end()
})

t.test('a worker answers while some proxy has heard of it lately', t => {
  const loads = new WorkerLoads(() => true)
  t.equal(loads.answers(1, 0, 5000), false, 'nobody knows it')
  loads.update(1, [load(1, 0, 0, 7)], 1000)
  t.equal(loads.answers(1, 5999, 5000), true)
  t.equal(loads.answers(1, 6000, 5000), false, 'the proxy is silent')
  loads.update(2, [load(1, 0, 0, 5000)], 6000)
  t.equal(loads.answers(1, 6000, 5000), false, 'the worker is silent')
  loads.update(2, [load(1, 0, 0, 4999)], 6000)
  t.equal(loads.answers(1, 6000, 5000), true)
  t.end()
})
