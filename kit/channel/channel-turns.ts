/**
 * So many bytes of messages are parsed in one turn of the event loop, of all channels together: however many children
 * talk at once, a turn lasts as long as one message of the longest at most. To act on a message costs too, however
 * short it is: each counts as some bytes more, so a turn has 64 of the shortest. Who finds the turn used up waits in
 * line and has one message in a later turn, before it waits behind the others again.
 */

import { setImmediate } from 'node:timers'

/** A message that is longer has a turn of its own. */
const TURN_BYTES = 256 * 1024
/** After each, the master compares all that is with what is wanted: with 32 workers some 0.2 ms. */
const BYTES_PER_MESSAGE = 4096

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

  /** One message of so many bytes. */
  spend(bytes: number): void {
    this.#spentBytes += BYTES_PER_MESSAGE + bytes
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
