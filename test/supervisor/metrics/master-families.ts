/** The families of the master itself. */

import t from 'tap'
import { type MasterMetricsState, masterFamilies } from '../../../supervisor/metrics/master-families.js'

const idle: MasterMetricsState = {
  version: '0.1.0',
  nodeVersion: 'v20.19.0',
  startedMs: 1_700_000_000_500,
  generation: 3,
  workersWanted: 2,
  phases: ['starting', 'ready', 'draining'],
  workers: [],
  slots: [1, 2],
  proxies: 1,
  restarts: { crash: 0, reload: 4 },
  reloads: { done: 2, failed: 0 },
  cpuSecondsBySlot: new Map([[1, 1.5]]),
}
const ready = { slot: 1, phase: 'ready', up: true, rssBytes: 1000, lagMs: 20 }
const draining = { slot: 1, phase: 'draining', up: false, rssBytes: 500, lagMs: 80 }
const unknown = { slot: 2, phase: 'starting', up: false, rssBytes: null, lagMs: null }

function show(state: MasterMetricsState, name: string): Record<string, number> {
  const family = masterFamilies(state).find(one => one.name === name)
  return Object.fromEntries(family?.values.map(({ labels, value }) => [Object.values(labels).join(' '), value]) ?? [])
}

const replacing: MasterMetricsState = { ...idle, workers: [draining, ready, unknown] }
const cases: [string, MasterMetricsState, Record<string, number>][] = [
  ['daimyo_build_info', idle, { '0.1.0 v20.19.0': 1 }],
  ['daimyo_start_time_seconds', idle, { '': 1_700_000_000.5 }],
  ['daimyo_generation', idle, { '': 3 }],
  ['daimyo_proxies', idle, { '': 1 }],
  ['daimyo_workers_wanted', idle, { '': 2 }],
  ['daimyo_workers', idle, { starting: 0, ready: 0, draining: 0 }],
  ['daimyo_workers', replacing, { starting: 1, ready: 1, draining: 1 }],
  ['daimyo_workers', { ...idle, phases: [], workers: [ready] }, { ready: 1 }],
  ['daimyo_worker_up', idle, { 1: 0, 2: 0 }],
  ['daimyo_worker_up', replacing, { 1: 1, 2: 0 }],
  ['daimyo_worker_up', { ...idle, workers: [ready, draining] }, { 1: 1, 2: 0 }],
  ['daimyo_worker_up', { ...idle, slots: [], workers: [draining] }, { 1: 0 }],
  ['daimyo_worker_restarts_total', idle, { crash: 0, reload: 4 }],
  ['daimyo_worker_resident_memory_bytes', replacing, { 1: 1500 }],
  ['daimyo_worker_event_loop_lag_seconds', replacing, { 1: 0.08 }],
  ['daimyo_worker_cpu_seconds_total', idle, { 1: 1.5 }],
  ['daimyo_reloads_total', idle, { done: 2, failed: 0 }],
]

for (const [name, state, expected] of cases) t.test(name, async t => t.same(show(state, name), expected))

t.test('no series is given twice while two workers share a slot', async t => {
  for (const family of masterFamilies(replacing)) {
    const keys = family.values.map(sample => JSON.stringify(sample.labels))
    t.equal(new Set(keys).size, keys.length, family.name)
  }
})
