/**
 * A page that is expensive to make and that many may ask for at once: all of them share one making and one Buffer.
 *
 * A page is shared for four times as long as its making took, and for five seconds at most. So making it takes a fifth
 * of the time at most, however often it is asked for. A page that took two milliseconds is shared for 8 ms. A failed
 * making is not kept.
 */

const KEPT_TIMES = 4
const MOST_KEPT_MS = 5000

export class SharedPage {
  readonly #make: () => Promise<Buffer>
  readonly #now: () => number
  #making: Promise<Buffer> | null = null
  #page: Buffer | null = null
  #untilMs = 0

  /** `now`: monotonic milliseconds. */
  constructor(make: () => Promise<Buffer>, now: () => number = () => performance.now()) {
    this.#make = make
    this.#now = now
  }

  /** The bytes must not be changed. Rejects as the making does. */
  get(): Promise<Buffer> {
    if (this.#making !== null) return this.#making
    if (this.#page !== null && this.#now() < this.#untilMs) return Promise.resolve(this.#page)
    this.#making = this.#keep().finally(() => {
      this.#making = null
    })
    return this.#making
  }

  async #keep(): Promise<Buffer> {
    const sinceMs = this.#now()
    const page = await this.#make()
    const nowMs = this.#now()
    this.#untilMs = nowMs + Math.min(MOST_KEPT_MS, KEPT_TIMES * (nowMs - sinceMs))
    this.#page = page
    return page
  }
}
