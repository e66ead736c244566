/**
 * Bounds the bytes of messages that one turn of the event loop parses, over all channels together. However many
 * children talk at once, a turn lasts as long as one message of the longest kind at most. Acting on a message has a
 * cost too, however short the message is: each one counts as BYTES_PER_MESSAGE more, so a turn has 64 of the shortest.
 *
 * A channel that finds the turn used up waits in line. In a later turn it may read one message, then it waits behind
 * the others again.
 */

import { setImmediate } from 'node:timers'

/** A longer message has a turn of its own. */
const TURN_BYTES = 256 * 1024
/**
 * After each message the master compares the state of all processes with the wanted one: about 0.2 ms with 32 workers.
 */
const BYTES_PER_MESSAGE = 4096

export class ChannelTurns {
  #spentBytes = 0
  #isScheduled = false
  /** Each channel has one place at most. */
  readonly #waiting = new Set<() => void>()

  /**
   * False: not in this turn. `turn` is called when the channel has its turn; a read in that call needs no other
   * permission.
   */
  isOpen(turn: () => void): boolean {
    if (this.#spentBytes < TURN_BYTES && this.#waiting.size === 0) return true
    this.#waiting.add(turn)
    this.#schedule()
    return false
  }

  /** One message of `bytes` was parsed. */
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
