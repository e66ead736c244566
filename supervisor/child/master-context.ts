/** Shared types of the master's parts: the outside world as one record, and the generation. Types only. */

import type { Log } from '../../kit/log/log.js'
import type { Settings } from '../config/values/settings.js'
import type { Installation } from '../host/installation.js'
import type { OomKills } from '../host/oom-kills.js'
import type { OutputGate } from '../log/output-lines.js'
import type { Pipes } from '../user/pipes.js'
import type { Release } from './release.js'
import type { Tasks } from './task-children.js'

export type PortSite = 'ignored' | 'late'

/** New settings, and the release to which their paths led at the time of the reload. Numbers are never reused. */
export interface Generation {
  number: number
  settings: Settings
  release: Release
  /**
   * What its workers found out about the server on PORT, as far as it is believed (`port-word.ts`). `ignored`: there is
   * none, so no worker waits for one. `late`: it listens after another server, so workers wait for it; the next
   * generation inherits this.
   */
  portSite?: PortSite | undefined
}

/**
 * The destination of the children's metrics. `sourceId` is unique in the life of the master. `families` is unchecked
 * input. `kind` is the master's own knowledge; it decides which families are believed.
 */
export interface MetricsSink {
  /** Returns the cost of the update. One unit is the cost of an unchanged sample. */
  update(sourceId: string, families: unknown, kind: 'worker' | 'proxy'): number
  /** The process has ended: its counters stay, its gauges are removed. */
  retire(sourceId: string): void
}

/** Events that any part may put into the queue. `tick`: a deadline may have passed. */
export type PlainEvent = { type: 'tick' } | { type: 'stop'; why: string }

/** The outside world and the queue, for every part that acts. `Event`: the events that the part may queue. */
export interface MasterContext<Event = PlainEvent> {
  /** Monotonic milliseconds, without the time in which the master stood still (`kit/ground/running-clock.ts`). */
  nowMs(): number
  /** How long a ready worker may be without a link from every proxy. */
  linkMs: number
  /** How long an accepting proxy may be silent. */
  proxySilentMs: number
  /** Tells whether a SIGKILL may have come from the kernel. */
  oomKills: OomKills
  /** The share of the usual back-off that a worker's place waits. 1, except in tests of many deaths. */
  backOffShare: number
  log: Log
  put(event: Event): void
  /** Restores removed parts of the run folder as far as possible. */
  keepRunFolder(): void
  gate: OutputGate
  /** The pipes of the children. */
  pipes: Pipes
  /** Work in folders of the service's user. */
  tasks: Tasks
  metrics: MetricsSink
  /** The master's own environment, before it is cleaned for a child. */
  environment: NodeJS.ProcessEnv
  /** Tells whether daimyo or Node was upgraded since the start. */
  installation: Pick<Installation, 'look'>
  /** The port of the first public TCP listener, once it is open. Null: there is none. */
  publicPort: number | null
  workerEntry: string
  proxyEntry: string
}
