/**
 * The `daimyo_*` families of the master itself, made at each scrape from one value that describes its state. Pure. The
 * proxies send their own families (requests, latencies, queue, harakiris) in the same form.
 */

import type { MetricFamily, MetricSample, MetricType } from '../../kit/channel/metric-family.js'

/** The counts by reason or outcome cover the life of the master, and name every reason and outcome, also at zero. */
export interface MasterMetricsState {
  version: string
  nodeVersion: string
  /** Milliseconds since the epoch. */
  startedMs: number
  generation: number
  workersWanted: number
  /** All phases of a worker's life, so that a phase without workers shows 0. */
  phases: readonly string[]
  workers: readonly WorkerMetricsState[]
  /** All slots, also those without a worker. */
  slots: readonly number[]
  /** Proxies that accept connections. */
  proxies: number
  restarts: Readonly<Record<string, number>>
  reloads: Readonly<Record<string, number>>
  /** From `CpuSeconds`. */
  cpuSecondsBySlot: ReadonlyMap<number, number>
}

/** Two workers share a slot while one replaces the other. `up`: the worker takes requests. null: not known yet. */
export interface WorkerMetricsState {
  slot: number
  phase: string
  up: boolean
  rssBytes: number | null
  lagMs: number | null
}

/** The families in a fixed order. Of two workers in a slot the memory is added up, and the larger lag is shown. */
export function masterFamilies(state: MasterMetricsState): MetricFamily[] {
  return [
    family('daimyo_build_info', 'gauge', 'Versions of daimyo and of Node; always 1', [
      { labels: { version: state.version, node_version: state.nodeVersion }, value: 1 },
    ]),
    family(
      'daimyo_start_time_seconds',
      'gauge',
      'When the master started, since the epoch',
      one(state.startedMs / 1000),
    ),
    family('daimyo_generation', 'gauge', 'Number of the reload that new workers belong to', one(state.generation)),
    family('daimyo_proxies', 'gauge', 'Proxies that accept connections', one(state.proxies)),
    family('daimyo_workers_wanted', 'gauge', 'Workers that should run', one(state.workersWanted)),
    family('daimyo_workers', 'gauge', 'Workers by phase', phaseSamples(state)),
    family('daimyo_worker_up', 'gauge', 'Whether a worker of the slot takes requests', upSamples(state)),
    family(
      'daimyo_worker_restarts_total',
      'counter',
      'Workers replaced, by reason',
      recordSamples('reason', state.restarts),
    ),
    family(
      'daimyo_worker_resident_memory_bytes',
      'gauge',
      'Resident memory of the workers of the slot',
      slotSamples(
        state,
        worker => worker.rssBytes,
        (sum, value) => sum + value,
      ),
    ),
    family(
      'daimyo_worker_cpu_seconds_total',
      'counter',
      'CPU time, user and system, of all workers that the slot has had',
      Array.from(state.cpuSecondsBySlot, ([slot, value]) => ({ labels: { slot }, value })),
    ),
    family(
      'daimyo_worker_event_loop_lag_seconds',
      'gauge',
      'Longest event-loop lag of the last second, as the worker last told it',
      slotSamples(state, worker => (worker.lagMs === null ? null : worker.lagMs / 1000), Math.max),
    ),
    family('daimyo_reloads_total', 'counter', 'Reloads by outcome', recordSamples('outcome', state.reloads)),
  ]
}

function family(name: string, type: MetricType, help: string, values: MetricSample[]): MetricFamily {
  return { name, help, type, aggregator: 'sum', values }
}

function one(value: number): MetricSample[] {
  return [{ labels: {}, value }]
}

function recordSamples(label: string, counts: Readonly<Record<string, number>>): MetricSample[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }))
}

function phaseSamples({ phases, workers }: MasterMetricsState): MetricSample[] {
  const counts = new Map(phases.map(phase => [phase, 0]))
  for (const { phase } of workers) counts.set(phase, (counts.get(phase) ?? 0) + 1)
  return Array.from(counts, ([phase, value]) => ({ labels: { phase }, value }))
}

function upSamples({ slots, workers }: MasterMetricsState): MetricSample[] {
  const up = new Map(slots.map(slot => [slot, 0]))
  for (const worker of workers) if (worker.up || !up.has(worker.slot)) up.set(worker.slot, worker.up ? 1 : 0)
  return Array.from(up, ([slot, value]) => ({ labels: { slot }, value }))
}

/** One sample for each slot with a known value. */
function slotSamples(
  { workers }: MasterMetricsState,
  read: (worker: WorkerMetricsState) => number | null,
  join: (a: number, b: number) => number,
): MetricSample[] {
  const bySlot = new Map<number, number>()
  for (const worker of workers) {
    const value = read(worker)
    const before = bySlot.get(worker.slot)
    if (value !== null) bySlot.set(worker.slot, before === undefined ? value : join(before, value))
  }
  return Array.from(bySlot, ([slot, value]) => ({ labels: { slot }, value }))
}
