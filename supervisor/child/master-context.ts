/**
 * What the parts of the master share: the outside world as one record, and what a generation is.
 * Types only.
 */

import type { Log } from '../../kit/log/log.js'
import type { Settings } from '../config/values/settings.js'
import type { Installation } from '../host/installation.js'
import type { OomKills } from '../host/oom-kills.js'
import type { OutputGate } from '../log/output-lines.js'
import type { Pipes } from '../user/pipes.js'
import type { Release } from './release.js'
import type { Tasks } from './task-children.js'

export type PortSite = 'ignored' | 'late'

/** What a reload starts: new settings and the release that their paths led to then. Numbers are never used again. */
export interface Generation {
  number: number
  settings: Settings
  release: Release
  /**
   * What one of its workers has found about the server on PORT, as far as it is believed (`port-word.ts`). `ignored`:
   * there is none, and nobody need wait for one. `late`: it comes after another one, so it is waited for; the next
   * generation knows that too.
   */
  portSite?: PortSite | undefined
}

/**
 * Where the children's metrics go. `sourceId` is unique in the life of the master. `families` is what arrived; `kind`,
 * which the master knows and no child says, decides what may be believed of it.
 */
export interface MetricsSink {
  /** Returns what it took, in units of a sample that is as it was before. */
  update(sourceId: string, families: unknown, kind: 'worker' | 'proxy'): number
  /** The process is gone: its counts stay, its gauges go. */
  retire(sourceId: string): void
}

/** What any part may put into the queue; `tick`: a deadline may have passed. */
export type PlainEvent = { type: 'tick' } | { type: 'stop'; why: string }

/** The outside world and the queue, for every part that acts. `Event`: what that part tells the master. */
export interface MasterContext<Event = PlainEvent> {
  /** Monotonic milliseconds, without those in which the master stood still (`kit/ground/running-clock.ts`). */
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
  put(event: Event): void
  /** Makes anew what was removed of the run folder, as far as it can be had. */
  keepRunFolder(): void
  gate: OutputGate
  /** Of the children. */
  pipes: Pipes
  /** What is to be done in folders of the service's user. */
  tasks: Tasks
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
