/**
 * Counts the unasked ends of new workers while a start or a reload waits for them. A SIGKILL from outside does not
 * speak against the code, but a program can send it to itself: the start or the reload would have no end.
 */

import type { BootFailure, WorkerHandle } from './worker-handle.js'
import { diedUnasked } from './worker-life.js'

/** So many in one slot, whatever their cause, are a failure. */
const MOST_ENDS = 20

export class RepeatedEnds {
  readonly #bySlot = new Map<number, number>()

  /** Counts the end of a worker. The failure, if it was one too many; else null. */
  ended(worker: WorkerHandle, during: string): BootFailure | null {
    if (!diedUnasked(worker.life)) return null
    const { slot } = worker.address
    const ends = (this.#bySlot.get(slot) ?? 0) + 1
    this.#bySlot.set(slot, ends)
    return ends < MOST_ENDS ? null : worker.deathFailure(`as ${ends - 1} before it in this ${during}`)
  }
}
