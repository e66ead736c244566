/**
 * One worker's reports about the server on PORT, and what its generation learns from them (`Generation.portSite`). The
 * next workers start accordingly. Pure.
 *
 * What must stay true: a worker reports while it starts, with the first `ready` of its life, and the report counts once
 * it has become ready. A running worker may only add, once, that the server on PORT came late, and only if it had
 * reported none. No other report of a running worker changes how others start.
 */

import type { PortSite } from '../child/master-context.js'
import type { WorkerPhase } from './worker-life.js'

export class PortWord {
  /** Null: the worker has not reported that it listens. */
  #ignoresPort: boolean | null = null
  #isBelieved = false

  /** The worker reports that it listens. */
  listens(phase: WorkerPhase, ignoresPort: boolean): void {
    if (phase === 'booting') this.#ignoresPort ??= ignoresPort
  }

  /** The worker has become ready. Returns what its generation knows from now on. */
  becameReady(known: PortSite | undefined): PortSite | undefined {
    this.#isBelieved = this.#ignoresPort === true
    return this.#isBelieved ? (known ?? 'ignored') : known
  }

  /** The worker reports that the server on PORT came after another server already served. */
  cameLate(phase: WorkerPhase, known: PortSite | undefined): PortSite | undefined {
    if (!this.#isBelieved || phase !== 'ready') return known
    this.#isBelieved = false
    return 'late'
  }
}
