/**
 * So many bytes of messages are parsed in one turn of the event loop, of all channels together: however many children talk at once, a turn lasts as long as one
 * message of the longest at most. Who finds the turn used up waits in line and has one message in a later turn, before it waits behind the others again.
 */

import { setImmediate } from 'node:timers'

/** A message that is longer has a turn of its own. */
const TURN_BYTES = 256 * 1024

export class ChannelTurns {
  #spentBytes = 0
  #isScheduled = false
  /** One place for each channel at most. */
  readonly #waiting = new Set<() => void>()

  /** False: not now; `turn` is called when it is its turn, and what it reads then is not asked for. */
  isOpen(turn: () => void): boolean {
    if (this.#spentBytes < TURN_BYTES && this.#waiting.size === 0) return true
    this.#waiting.add(turn)
    this.#schedule()
    return false
  }

  spend(bytes: number): void {
    this.#spentBytes += bytes
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#begin())
  }

  #begin(): void {
    this.#isScheduled = false
    this.#spentBytes = 0
    for (const turn of this.#waiting) {
      if (this.#spentBytes >= TURN_BYTES) break
      this.#waiting.delete(turn)
      turn()
    }
    if (this.#waiting.size > 0) this.#schedule()
  }
}
