/**
 * What `metrics/master-families.ts` wants to know of the master, from its parts. Owned by `process-tree.ts`; asked at
 * each scrape.
 */

import type { ProcessUsage } from '../host/process-usage.js'
import { CpuSeconds } from '../metrics/cpu-seconds.js'
import type { MasterMetricsState, WorkerMetricsState } from '../metrics/master-families.js'
import type { Proxies } from '../proxies/proxies.js'
import type { Pool } from '../workers/pool.js'
import type { Worker } from '../workers/worker.js'
import { RESTART_WORKER, SOCKET_GONE, WORKER_PHASES } from '../workers/worker-life.js'
import type { WorkerLoads } from '../workers/worker-loads.js'

/** Why a worker's place was taken by another: the last `why` of its life. */
const REASONS = [
  'died',
  'out-of-memory',
  'not-started',
  'harakiri',
  'load-failed',
  'start-deadline',
  'link-deadline',
  'link-broken',
  'reload',
  'rollback',
  'max-requests',
  'disconnected',
  SOCKET_GONE,
  'max-worker-lifetime',
  'reload-on-rss',
  'evil-reload-on-rss',
  RESTART_WORKER,
  'replaced',
  'fewer',
]

/** Where the state is read from. */
export interface MetricsSources {
  pool: Pool
  proxies: Proxies
  usage: ProcessUsage
  loads: WorkerLoads
}

/** What the master knows of itself. */
export interface MetricsFacts {
  version: string
  startedMs: number
  reloads: { ok: number; failed: number }
}

/** Keeps the sums that outlive a worker: restarts by reason and CPU seconds by slot. */
export class MetricsState {
  readonly #cpu = new CpuSeconds()
  readonly #restarts = new Map(REASONS.map(reason => [reason, 0]))

  /** A worker was reaped. */
  gone({ address, life }: Worker, usage: ProcessUsage): void {
    this.#record(address, usage)
    this.#cpu.retire(address.workerId)
    const count = this.#restarts.get(life.why)
    if (count !== undefined) this.#restarts.set(life.why, count + 1)
  }

  /** The state at this moment. */
  state(facts: MetricsFacts, { pool, proxies, usage, loads }: MetricsSources): MasterMetricsState {
    const workers = pool.workers()
    for (const { address } of workers) this.#record(address, usage)
    return {
      version: facts.version,
      nodeVersion: process.version,
      startedMs: facts.startedMs,
      generation: pool.target.base.number,
      workersWanted: pool.target.wanted,
      phases: WORKER_PHASES,
      workers: workers.map(worker => workerState(worker, pool, usage, loads)),
      slots: pool.slots.map(({ slot }) => slot),
      proxies: proxies.alive().filter(({ life }) => life.phase === 'listening').length,
      restarts: Object.fromEntries(this.#restarts),
      reloads: { ...facts.reloads },
      cpuSecondsBySlot: this.#cpu.bySlot(),
    }
  }

  #record({ slot, workerId, pid }: Worker['address'], usage: ProcessUsage): void {
    const seconds = usage.of(pid)?.cpuSeconds
    if (seconds !== undefined) this.#cpu.record(slot, workerId, seconds)
  }
}

function workerState(worker: Worker, pool: Pool, usage: ProcessUsage, loads: WorkerLoads): WorkerMetricsState {
  const { slot, workerId } = worker.address
  return {
    slot,
    phase: worker.life.phase,
    up: pool.isServing(worker),
    rssBytes: usage.of(worker.pid)?.rssBytes ?? null,
    lagMs: loads.of(workerId).lagMs,
  }
}
