/**
 * A token bucket: how often something may happen, at once and per second after that. The level may go below zero; then
 * the caller waits until it has grown again. Pure: the time is passed in, in milliseconds.
 */

export interface Rate {
  atOnce: number
  perSecond: number
}

export class TokenBucket {
  readonly #rate: Rate
  #left: number
  #filledMs: number

  /** `left`: the first level, if the bucket does not begin full. */
  constructor(rate: Rate, nowMs: number, left = rate.atOnce) {
    this.#rate = rate
    this.#left = Math.min(rate.atOnce, left)
    this.#filledMs = nowMs
  }

  /** Below zero if more was spent than there was. */
  leftAt(nowMs: number): number {
    const { atOnce, perSecond } = this.#rate
    // A clock that goes back takes nothing away.
    const seconds = Math.max(0, nowMs - this.#filledMs) / 1000
    this.#left = Math.min(atOnce, this.#left + seconds * perSecond)
    this.#filledMs = nowMs
    return this.#left
  }

  /** Spends one token, if there is one. */
  takeOne(nowMs: number): boolean {
    if (this.leftAt(nowMs) < 1) return false
    this.#left -= 1
    return true
  }

  /** Spends `amount`, even if there is less. */
  spend(amount: number, nowMs: number): void {
    this.#left = this.leftAt(nowMs) - amount
  }

  /** Milliseconds until the level is `least`. */
  waitMs(least: number, nowMs: number): number {
    return Math.max(0, ((least - this.leftAt(nowMs)) / this.#rate.perSecond) * 1000)
  }
}
