/**
 * The number of wanted workers. Once a second `cheaper.ts` decides from the figures of the workers. It sets
 * `target.wanted` of the workers; `slots.ts` brings that about. Must stay true: an operator's number counts until the
 * next one, or until `processes` of the INI changes. A sleeping tree (no worker wanted, though there is an application)
 * wakes up at the first request: the proxies ask for a worker while a request waits.
 */

import type { Generation, MasterContext } from '../child/master-context.js'
import type { Settings } from '../config/values/settings.js'
import type { ProcessUsage } from '../host/process-usage.js'
import {
  type CheaperFacts,
  type CheaperMemory,
  LOOK_MS,
  newCheaperMemory,
  nextWanted,
  workersAtFirst,
} from './cheaper.js'
import type { WorkerHandle } from './worker-handle.js'
import type { WorkerLoads } from './worker-loads.js'
import type { Workers } from './workers.js'

/** More workers, or fewer. `upTo`: the upper bound is `processes`; otherwise it is `MOST_WORKERS`. */
export interface Resize {
  type: 'resize'
  by: number
  upTo?: 'processes'
}

/** The most workers that may be asked for. */
export const MOST_WORKERS = 1024

/** A worker counts as blocked if it has not reported on its event loop for this time. */
const SILENT_MS = 2.5 * LOOK_MS

/** The parts of the tree that decide. */
export interface ScalerSources {
  workers: Workers
  loads: WorkerLoads
  usage: ProcessUsage
  reloads: { isRunning: boolean }
  proxies: { alive(): readonly unknown[]; areListening: boolean }
  /** The settings in force. */
  settings: Settings
}

/** The number of workers at the start of a generation. 0: there is no application, or `cheap` is set. */
export function workersAtStart({ release, settings }: Generation): number {
  return release.app === null || settings.cheap ? 0 : workersAtFirst(settings)
}

/** The scaler of one master. */
export class Scaler {
  readonly #context: MasterContext
  readonly #tree: ScalerSources
  /** The number that an operator asked for; null: none. */
  #asked: number | null = null
  #processes: number
  #memory: { of: Settings; now: CheaperMemory } | null = null
  #nextLookMs = 0
  /** When the application last had something to do, and its requests until then. */
  #activeMs: number
  #requests = 0

  constructor(context: MasterContext, tree: ScalerSources) {
    this.#context = context
    this.#tree = tree
    this.#processes = tree.settings.processes
    this.#activeMs = context.nowMs()
  }

  /** SIGTTIN and SIGTTOU, and two letters of the FIFO: more workers or fewer, never below one. */
  resize({ by, upTo }: Resize, why: string): void {
    const { workers, settings } = this.#tree
    const { wanted } = workers.target
    // An operator may ask for more than `processes`.
    const most = upTo === 'processes' ? Math.max(wanted, settings.processes) : MOST_WORKERS
    if (wanted > 0) this.#ask(Math.min(most, Math.max(1, wanted + by)), why)
  }

  /**
   * `daimyo scale`. Returns the reason of a refusal. Null: the number is wanted now, and workers start and end by
   * themselves. `auto`: the number follows the configuration.
   */
  scale(count: number | 'auto'): string | null {
    if (this.#tree.workers.target.base.release.app === null) return 'there is no application'
    if (count === 'auto') {
      this.#asked = null
      this.#want(this.#atFirst, 'scale')
      return null
    }
    if (!Number.isInteger(count) || count < 1 || count > MOST_WORKERS) {
      return `cannot scale: received ${count}: accepted a whole number from 1 to ${MOST_WORKERS}, or auto`
    }
    this.#ask(count, 'scale')
    return null
  }

  /** A request waits and no worker can take it. */
  wake(): void {
    const { target } = this.#tree.workers
    if (target.wanted > 0 || target.base.release.app === null) return
    this.#activeMs = this.#context.nowMs()
    this.#want(this.#asked ?? this.#atFirst, 'first-request')
  }

  /** Decides if it is time. Returns the time of the next check. Null: never. */
  check(): number | null {
    const { settings, workers } = this.#tree
    if (settings.processes !== this.#processes) this.#asked = null
    this.#processes = settings.processes
    if ((settings.cheaper === 0 && settings.idleMs === 0) || workers.target.wanted === 0) return null
    const nowMs = this.#context.nowMs()
    if (nowMs < this.#nextLookMs) return this.#nextLookMs
    this.#nextLookMs = nowMs + LOOK_MS
    if (!this.#rest(nowMs) && settings.cheaper > 0 && this.#asked === null) this.#look(nowMs)
    return this.#nextLookMs
  }

  get #atFirst(): number {
    return workersAtFirst(this.#tree.settings)
  }

  #ask(wanted: number, why: string): void {
    this.#asked = wanted
    this.#activeMs = this.#context.nowMs()
    // Each order is logged, even if nothing changes.
    if (this.#tree.workers.target.wanted === wanted) this.#context.log('workers-wanted', { wanted, why })
    else this.#want(wanted, why)
  }

  #want(wanted: number, why: string): void {
    const { workers } = this.#tree
    if (workers.target.wanted === wanted) return
    workers.target = { ...workers.target, wanted }
    this.#context.log('workers-wanted', { wanted, why })
  }

  /** After `idle`: stops all workers, or the master too. True: it did. */
  #rest(nowMs: number): boolean {
    const { workers, loads, settings, reloads, proxies } = this.#tree
    if (settings.idleMs === 0) return false
    // Until all proxies accept, the requests that woke us may still wait in the backlog, where no count includes them.
    const isStartingUp = !proxies.areListening || workers.all().some(isStarting)
    const seen = workers.all().map(worker => loads.of(worker.address.workerId))
    const requests = seen.reduce((sum, load) => sum + load.requests, 0)
    const isActive = requests !== this.#requests || loads.queued > 0 || seen.some(load => load.inFlight > 0)
    this.#requests = requests
    if (isActive || isStartingUp || reloads.isRunning) this.#activeMs = nowMs
    if (nowMs - this.#activeMs < settings.idleMs) return false
    this.#activeMs = nowMs
    if (settings.dieOnIdle) this.#context.put({ type: 'stop', why: 'idle' })
    else this.#want(0, 'idle')
    return true
  }

  #look(nowMs: number): void {
    const { settings } = this.#tree
    if (this.#memory?.of !== settings) this.#memory = { of: settings, now: newCheaperMemory(settings) }
    const { wanted, why, memory } = nextWanted(this.#facts(nowMs), this.#memory.now, settings)
    this.#memory.now = memory
    if (why !== null) this.#want(wanted, why)
  }

  #facts(nowMs: number): CheaperFacts {
    const { workers, loads, usage, reloads, proxies, settings } = this.#tree
    const all = workers.all()
    // A worker that waits for its first request is free.
    const serving = all.filter(({ life }) => life.phase === 'ready' || life.phase === 'waiting')
    const inFlight = serving.map(worker => loads.of(worker.address.workerId).inFlight)
    const shares = serving.flatMap(worker => shareOf(worker, nowMs) ?? [])
    return {
      wanted: workers.target.wanted,
      most: settings.processes,
      serving: serving.length,
      busy: inFlight.filter(count => count > 0).length,
      busyness: shares.length === 0 ? 0 : (100 * shares.reduce((sum, share) => sum + share, 0)) / shares.length,
      queued: loads.queued,
      inFlight: inFlight.reduce((sum, count) => sum + count, 0),
      room: settings.workerConnections * proxies.alive().length,
      rssBytes: all.reduce((sum, { pid }) => sum + (usage.of(pid)?.rssBytes ?? 0), 0),
      isSettling: reloads.isRunning || workers.draining.length > 0 || all.some(isStarting),
    }
  }
}

function isStarting({ life }: WorkerHandle): boolean {
  return life.phase === 'booting'
}

/** null: the worker has had no time to report yet. */
function shareOf({ utilization, life }: WorkerHandle, nowMs: number): number | null {
  if (life.phase === 'waiting') return 0
  const heardMs = utilization?.atMs ?? life.readyMs ?? nowMs
  return nowMs - heardMs > SILENT_MS ? 1 : (utilization?.share ?? null)
}
