/**
 * What the parts of the master share: the outside world as one record, the events of its one queue, and what a generation is.
 * Types only.
 */

import type { Log } from '../kit/log.js'
import type { ProxyToMaster, WorkerToMaster } from '../kit/messages.js'
import type { Reading, Settings } from './config/settings.js'
import type { ControlAnswer } from './control-protocol.js'
import type { Installation } from './installation.js'
import type { OomKills } from './oom-kills.js'
import type { OrderRequest } from './orders.js'
import type { OutputGate } from './output-lines.js'
import type { WatchedPath } from './path-watch.js'
import type { PipeStock } from './pipes.js'
import type { PortSite } from './port-word.js'
import type { ProxyEvent } from './proxy-phase.js'
import type { ProxyProcess } from './proxy-process.js'
import type { Release } from './release.js'
import type { CommandEnd } from './shell-command.js'
import type { SignalEvent } from './signals.js'
import type { Worker } from './worker.js'
import type { WorkerEvent } from './worker-life.js'

/** What a reload starts: new settings and the release that their paths led to then. Numbers are never used again. */
export interface Generation {
  number: number
  settings: Settings
  release: Release
  /**
   * What one of its workers has found about the server on PORT, as far as it is believed (`port-word.ts`). `ignored`: there is none, and nobody need wait for one.
   * `late`: it comes after another one, so it is waited for; the next generation knows that too.
   */
  portSite?: PortSite | undefined
}

/**
 * Where the children's metrics go. `sourceId` is unique in the life of the master. `families` is what arrived; `kind`,
 * which the master knows and no child says, decides what may be believed of it.
 */
export interface MetricsSink {
  update(sourceId: string, families: unknown, kind: 'worker' | 'proxy'): void
  /** The process is gone: its counts stay, its gauges go. */
  retire(sourceId: string): void
}

/** Somebody asks for a reload, and may wait for it. `why` is for the log: a signal, `command`, the option that watches a path. */
export interface ReloadRequest {
  why: string
  /** `workers`: new ones with the settings in force; nothing is read. */
  scope: 'configuration' | 'workers'
  /** Nobody is replaced when the configuration means the same as before. */
  ifChanged?: boolean
  progress(text: string): void
  done(outcome: ReloadOutcome): void
}

/** What a reload wants to work with: the configuration read again, or the settings in force. */
export type SettingsWanted = Pick<ReloadRequest, 'scope' | 'ifChanged'> & { inForce: Settings }

/** How a reload ended; what could not change without a restart is in `ignored`, by option name. */
export type ReloadOutcome =
  | { ok: true; generation: number; ignored: string[] }
  | { ok: false; reason: string; lines: string[] }

/** Whoever runs a shell command: a hook, a daemon, a cron job. */
export interface CommandOwner {
  ended(end: CommandEnd): void
}

/** Everything that happens to the master. */
export type MasterEvent =
  | TreeEvent
  | { type: 'signal'; signal: string; event: SignalEvent }
  | { type: 'stop'; why: string }
  | { type: 'command-end'; owner: CommandOwner; end: CommandEnd }

/** What happens to the running tree; `tick`: a deadline may have passed. */
export type TreeEvent =
  | { type: 'worker'; worker: Worker; event: WorkerEvent }
  | { type: 'worker-message'; worker: Worker; message: WorkerToMaster }
  | { type: 'worker-exit'; worker: Worker; code: number | null; signal: string | null; error: string | null }
  | { type: 'proxy'; proxy: ProxyProcess; event: ProxyEvent }
  | { type: 'proxy-message'; proxy: ProxyProcess; message: ProxyToMaster }
  | { type: 'reload'; request: ReloadRequest }
  | { type: 'order'; request: OrderRequest }
  | { type: 'reading'; reading: Reading | Error }
  /** The memory of the children was read. */
  | { type: 'usage' }
  /** A path that an option watches has changed. */
  | { type: 'touched'; watched: WatchedPath }
  | { type: 'tick' }

/** The outside world and the queue, for every part that acts. */
export interface MasterContext {
  /** Monotonic milliseconds, without those in which the master stood still (`kit/running-clock.ts`). */
  nowMs(): number
  /** How long a ready worker may be without a link from every proxy. */
  linkMs: number
  /** How long a proxy that accepts may say nothing. */
  proxySilentMs: number
  /** Whether a SIGKILL may have been the kernel's. */
  oomKills: OomKills
  /** The share of the usual back-off that a worker's place waits: 1, but for tests of many deaths. */
  backOffShare: number
  log: Log
  put(event: MasterEvent): void
  /** Makes anew what was removed of the run folder, as far as it can be had. */
  keepRunFolder(): void
  gate: OutputGate
  /** Of the children. */
  pipes: Pick<PipeStock, 'take'>
  metrics: MetricsSink
  /** The master's own environment, before it is cleaned for a child. */
  environment: NodeJS.ProcessEnv
  /** Whether daimyo or Node were upgraded since the start. */
  installation: Pick<Installation, 'look'>
  /** Of the first public TCP listener, once they are open; null: there is none. */
  publicPort: number | null
  workerEntry: string
  proxyEntry: string
}

/** The last answer to a control request. */
export type ControlDone = Extract<ControlAnswer, { type: 'done' }>
