/**
 * How often something may happen: so much at once, and so much a second after that (a token bucket). What spends may go
 * below zero, and is then to wait until there is something again. Pure: the time is passed in, in milliseconds.
 */

export interface Rate {
  atOnce: number
  perSecond: number
}

export class TokenBucket {
  readonly #rate: Rate
  #left: number
  #filledMs: number

  /** `left`: with less than it can have. */
  constructor(rate: Rate, nowMs: number, left = rate.atOnce) {
    this.#rate = rate
    this.#left = Math.min(rate.atOnce, left)
    this.#filledMs = nowMs
  }

  /** Below zero where more was spent than there was. */
  leftAt(nowMs: number): number {
    const { atOnce, perSecond } = this.#rate
    // A clock that goes back takes nothing away.
    const seconds = Math.max(0, nowMs - this.#filledMs) / 1000
    this.#left = Math.min(atOnce, this.#left + seconds * perSecond)
    this.#filledMs = nowMs
    return this.#left
  }

  /** Spends one, if there is one. */
  takeOne(nowMs: number): boolean {
    if (this.leftAt(nowMs) < 1) return false
    this.#left -= 1
    return true
  }

  /** Spends so much, whether there is as much or not. */
  spend(amount: number, nowMs: number): void {
    this.#left = this.leftAt(nowMs) - amount
  }

  /** Until there is so much, in milliseconds. */
  waitMs(least: number, nowMs: number): number {
    return Math.max(0, ((least - this.leftAt(nowMs)) / this.#rate.perSecond) * 1000)
  }
}
