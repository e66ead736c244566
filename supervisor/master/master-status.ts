/**
 * The status report: the master's knowledge of its children at this moment, without guesses. The control socket, the
 * banner and the metrics show it. Pure except for the wall clock.
 */

import type { UnendedProcess } from '../../kit/process/tracers.js'
import type { ProxyReport, StatusReport, WorkerReport } from '../control/control-protocol.js'
import type { ProcessUsage } from '../host/process-usage.js'
import type { Listener } from '../listen/listeners.js'
import type { Proxies } from '../proxies/proxies.js'
import type { WorkerHandle } from '../workers/worker-handle.js'
import type { WorkerLoads } from '../workers/worker-loads.js'
import type { WorkerSlot, Workers } from '../workers/workers.js'

/** The parts from which the report is made. */
export interface StatusSources {
  workers: Workers
  proxies: Proxies
  usage: ProcessUsage
  loads: WorkerLoads
  nowMs: number
  /** Wall clock at `nowMs`. */
  epochMs: number
}

/** One row for each worker that is not gone, and one for each slot that waits to be filled. */
export function workerReports(sources: StatusSources): WorkerReport[] {
  const { workers } = sources
  const rows = workers.all().map(worker => workerReport(worker, sources))
  for (const slot of workers.slots) if (slot.current === null) rows.push(emptyReport(slot, sources))
  return rows.sort((a, b) => a.slot - b.slot || a.workerId - b.workerId)
}

/** One row for each proxy that is not gone. */
export function proxyReports(sources: StatusSources): ProxyReport[] {
  return sources.proxies.alive().map(proxy => {
    const usage = sources.usage.of(proxy.pid)
    return {
      proxyId: proxy.proxyId,
      pid: proxy.pid,
      phase: proxy.life.phase,
      rssBytes: usage?.rssBytes ?? null,
      cpuPercent: usage?.cpuPercent ?? null,
      deaths: sources.proxies.deathsOf(proxy.proxyId),
      sinceMs: toEpoch(proxy.life.sinceMs, sources),
    }
  })
}

/** Processes that were killed and given up, because they do not end. */
export function unendedProcesses({ workers, proxies }: Pick<StatusSources, 'workers' | 'proxies'>): UnendedProcess[] {
  const ofSlots = [...workers.unended].map(({ address, stays }) => ({
    pid: address.pid,
    what: `a worker of slot ${address.slot}`,
    why: stays ?? '',
  }))
  const ofPlaces = [...proxies.unended].map(({ ownPid, proxyId, stays }) => ({
    pid: ownPid ?? 0,
    what: `proxy ${proxyId}`,
    why: stays ?? '',
  }))
  return [...ofSlots, ...ofPlaces]
}

/** The URLs of the open listeners. */
export function urlsOf(listeners: readonly Listener[]): StatusReport['urls'] {
  return listeners.map(listener => listener.url)
}

/** Converts a time of the master's clock to milliseconds since the epoch. */
export function toEpoch(sinceMs: number, { nowMs, epochMs }: Pick<StatusSources, 'nowMs' | 'epochMs'>): number {
  return Math.round(epochMs - (nowMs - sinceMs))
}

function workerReport(worker: WorkerHandle, sources: StatusSources): WorkerReport {
  const { slot, workerId, generation, socketPath } = worker.address
  const usage = sources.usage.of(worker.pid)
  return {
    slot,
    workerId,
    pid: worker.pid,
    phase: worker.life.phase === 'ready' && !sources.workers.isLinked(worker) ? 'linking' : worker.life.phase,
    why: worker.life.why,
    generation,
    ...sources.loads.of(workerId),
    rssBytes: usage?.rssBytes ?? null,
    cpuPercent: usage?.cpuPercent ?? null,
    deaths: sources.workers.slots.find(place => place.slot === slot)?.deaths ?? 0,
    sinceMs: toEpoch(worker.life.sinceMs, sources),
    socketPath,
  }
}

/** For a worker that never was ready, the reason of its failure says more than its death. */
function whyGone(last: WorkerHandle | null): string {
  if (last === null) return 'not started'
  return last.life.readyMs === null ? `${last.life.why}: ${last.bootFailure().reason}` : last.life.why
}

/** A slot without a worker: why its last one is gone, and when it is filled again. */
function emptyReport({ slot, generation, last, backOff, deaths }: WorkerSlot, sources: StatusSources): WorkerReport {
  const waitMs = Math.max(0, Math.round(backOff.notBeforeMs - sources.nowMs))
  return {
    slot,
    workerId: last?.address.workerId ?? 0,
    pid: null,
    phase: 'gone',
    why: `${whyGone(last)}${waitMs > 0 ? `, next start in ${waitMs} ms` : ''}`,
    generation: generation.number,
    requests: 0,
    inFlight: 0,
    lagMs: null,
    rssBytes: null,
    cpuPercent: null,
    deaths,
    sinceMs: toEpoch(last?.life.sinceMs ?? sources.nowMs, sources),
    socketPath: '',
  }
}
