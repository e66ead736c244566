/**
 * The WebSocket handshakes of one worker that have no response yet. Each has a connection of its own, beside the
 * worker's link. `tunnels.ts` adds them.
 *
 * When such a connection ends before a response, either the worker has died, or its application wants to give no
 * response. The link decides: it ends with the worker, and a pong to a ping that was sent afterwards proves that the
 * worker lives.
 */

import type { Exchange } from '../exchange/exchange.js'

interface Doubt {
  /** The worker lives: its application gives no response. */
  lives(): void
  /** A ping was sent after the connection ended. */
  isAsked: boolean
}

export class Handshakes {
  readonly #open = new Set<Exchange>()
  /** Exchanges whose connection has ended. */
  readonly #doubts = new Map<Exchange, Doubt>()

  begin(exchange: Exchange): void {
    this.#open.add(exchange)
  }

  /** The handshake has its response, or is given up. */
  end(exchange: Exchange): void {
    this.#open.delete(exchange)
    this.#doubts.delete(exchange)
  }

  /** The connection ended before a response. Not `isAsked`: the ping under way was sent before that. */
  hungUp(exchange: Exchange, lives: () => void, isAsked: boolean): void {
    this.#doubts.set(exchange, { lives, isAsked })
  }

  /** The pong to the last ping is here. True: another ping is needed, because more connections have ended since. */
  ponged(): boolean {
    if (this.#doubts.size === 0) return false
    for (const [exchange, doubt] of [...this.#doubts]) {
      if (!doubt.isAsked) doubt.isAsked = true
      else if (this.#doubts.delete(exchange)) doubt.lives()
    }
    return this.#doubts.size > 0
  }

  /** The worker is gone: gives up the connections and returns their exchanges, oldest first. */
  lose(): Exchange[] {
    const lost = [...this.#open]
    for (const exchange of lost) exchange.attempt?.cancel(exchange, false)
    return lost
  }
}
