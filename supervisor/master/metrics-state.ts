/**
 * The state of the master that `metrics/master-families.ts` shows, collected from the parts of the master at each
 * scrape.
 */

import type { ProcessUsage } from '../host/process-usage.js'
import { CpuSeconds } from '../metrics/cpu-seconds.js'
import type { MasterMetricsState, WorkerMetricsState } from '../metrics/master-families.js'
import type { Proxies } from '../proxies/proxies.js'
import type { WorkerHandle } from '../workers/worker-handle.js'
import { CHANNEL_CLOSED, RESTART_WORKER, SOCKET_GONE, WORKER_PHASES } from '../workers/worker-life.js'
import type { WorkerLoads } from '../workers/worker-loads.js'
import type { Workers } from '../workers/workers.js'

/** The reasons for which a worker was replaced: the last `why` of its life. */
const REASONS = [
  'died',
  'out-of-memory',
  'not-started',
  'harakiri',
  'load-failed',
  'start-deadline',
  'link-deadline',
  'link-broken',
  CHANNEL_CLOSED,
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

/** The parts from which the state is read. */
export interface MetricsSources {
  workers: Workers
  proxies: Proxies
  usage: ProcessUsage
  loads: WorkerLoads
}

/** The master's facts about itself. */
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
  gone({ address, life }: WorkerHandle, usage: ProcessUsage): void {
    this.#record(address, usage)
    this.#cpu.retire(address.workerId)
    const count = this.#restarts.get(life.why)
    if (count !== undefined) this.#restarts.set(life.why, count + 1)
  }

  /** The current state. */
  state(facts: MetricsFacts, { workers, proxies, usage, loads }: MetricsSources): MasterMetricsState {
    const all = workers.all()
    for (const { address } of all) this.#record(address, usage)
    return {
      version: facts.version,
      nodeVersion: process.version,
      startedMs: facts.startedMs,
      generation: workers.target.base.number,
      workersWanted: workers.target.wanted,
      phases: WORKER_PHASES,
      workers: all.map(worker => workerState(worker, workers, usage, loads)),
      slots: workers.slots.map(({ slot }) => slot),
      proxies: proxies.alive().filter(({ life }) => life.phase === 'listening').length,
      restarts: Object.fromEntries(this.#restarts),
      reloads: { ...facts.reloads },
      cpuSecondsBySlot: this.#cpu.bySlot(),
    }
  }

  #record({ slot, workerId, pid }: WorkerHandle['address'], usage: ProcessUsage): void {
    const seconds = usage.of(pid)?.cpuSeconds
    if (seconds !== undefined) this.#cpu.record(slot, workerId, seconds)
  }
}

function workerState(
  worker: WorkerHandle,
  workers: Workers,
  usage: ProcessUsage,
  loads: WorkerLoads,
): WorkerMetricsState {
  const { slot, workerId } = worker.address
  return {
    slot,
    phase: worker.life.phase,
    up: workers.isServing(worker),
    rssBytes: usage.of(worker.pid)?.rssBytes ?? null,
    lagMs: loads.of(workerId).lagMs,
  }
}
