/**
 * What one worker says about the server on PORT, and what its generation believes of that (`Generation.portSite`):
 * others are started accordingly. Pure.
 *
 * What must stay true: a worker speaks while it starts, with the first `ready` of its life, and is believed when it has
 * become ready. A running one may only add, once, that the server on PORT came after all; and only where it had none:
 * elsewhere nothing that it says changes how others start.
 */

import type { PortSite } from '../child/master-context.js'
import type { WorkerPhase } from './worker-life.js'

export class PortWord {
  /** null: it has not said that it listens. */
  #ignoresPort: boolean | null = null
  #isBelieved = false

  /** It says that it listens. */
  listens(phase: WorkerPhase, ignoresPort: boolean): void {
    if (phase === 'booting') this.#ignoresPort ??= ignoresPort
  }

  /** It has become ready. What its generation knows from now on. */
  becameReady(known: PortSite | undefined): PortSite | undefined {
    this.#isBelieved = this.#ignoresPort === true
    return this.#isBelieved ? (known ?? 'ignored') : known
  }

  /** It says that the server on PORT came when another one already served. */
  cameLate(phase: WorkerPhase, known: PortSite | undefined): PortSite | undefined {
    if (!this.#isBelieved || phase !== 'ready') return known
    this.#isBelieved = false
    return 'late'
  }
}
