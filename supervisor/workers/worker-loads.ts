/**
 * The load of each worker, summed over the proxies: each proxy reports only its own part. The status shows it. Request
 * counts of a dead proxy stay in the sums.
 */

import type { WorkerLoad } from '../../kit/channel/messages.js'

/**
 * The proxies' figures of a worker's responses: how many, how many of them 5xx, and the sum of the times to their first
 * bytes.
 */
export interface ResponseFigures {
  answered: number
  failed: number
  waitedMs: number
}

/** `lagMs` null: no proxy has reported the worker yet. */
export interface Load extends ResponseFigures {
  requests: number
  inFlight: number
  lagMs: number | null
}

/** The last report of a proxy, and its time by the monotonic clock. */
interface Words {
  loads: Map<number, WorkerLoad>
  saidMs: number
}

/**
 * The last report of every proxy about every worker. Reports about unknown workers are dropped: nothing would ever
 * remove them.
 */
export class WorkerLoads {
  readonly #byProxy = new Map<number, Words>()
  readonly #queued = new Map<number, number>()
  readonly #ofDeadProxies = new Map<number, number>()
  readonly #isKnown: (workerId: number) => boolean

  constructor(isKnown: (workerId: number) => boolean) {
    this.#isKnown = isKnown
  }

  /** Requests that wait for a worker, in all proxies. */
  get queued(): number {
    return [...this.#queued.values()].reduce((sum, queued) => sum + queued, 0)
  }

  /** Takes a report of a proxy, which names all of its workers. */
  update(proxyId: number, loads: readonly WorkerLoad[], nowMs: number, queued = 0): void {
    const known = loads.filter(({ workerId }) => this.#isKnown(workerId))
    this.#byProxy.set(proxyId, { loads: new Map(known.map(load => [load.workerId, load])), saidMs: nowMs })
    this.#queued.set(proxyId, queued)
  }

  proxyGone(proxyId: number): void {
    for (const { workerId, requests } of this.#byProxy.get(proxyId)?.loads.values() ?? []) {
      // The worker may have ended since the report.
      if (!this.#isKnown(workerId)) continue
      this.#ofDeadProxies.set(workerId, (this.#ofDeadProxies.get(workerId) ?? 0) + requests)
    }
    this.#byProxy.delete(proxyId)
    this.#queued.delete(proxyId)
  }

  workerGone(workerId: number): void {
    this.#ofDeadProxies.delete(workerId)
  }

  /** The load of one worker over all proxies. `lagMs` is the worst one. */
  of(workerId: number): Load {
    const sum: Load = {
      requests: this.#ofDeadProxies.get(workerId) ?? 0,
      inFlight: 0,
      lagMs: null,
      answered: 0,
      failed: 0,
      waitedMs: 0,
    }
    for (const { loads } of this.#byProxy.values()) {
      const load = loads.get(workerId)
      if (load === undefined) continue
      sum.requests += load.requests
      sum.inFlight += load.inFlight
      sum.answered += load.answered
      sum.failed += load.failed
      sum.waitedMs += load.waitedMs
      sum.lagMs = Math.max(sum.lagMs ?? 0, load.lagMs)
    }
    return sum
  }

  /** Whether a worker has answered a proxy within `withinMs`, by a report that is no older than that. */
  answers(workerId: number, nowMs: number, withinMs: number): boolean {
    for (const { loads, saidMs } of this.#byProxy.values()) {
      const load = loads.get(workerId)
      if (load !== undefined && nowMs - saidMs < withinMs && load.lagMs < withinMs) return true
    }
    return false
  }
}
