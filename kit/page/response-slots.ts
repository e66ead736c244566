/**
 * How many large responses are under way at once, and how long one may take: clients that ask for a page and do not
 * read it must not fill the memory, nor keep the others from it.
 *
 * A few have a slot; some more wait for one in a line that is fair between clients; the rest is refused. A response
 * loses its slot, and its connection, at its deadline or when its client takes less than the least rate. While others
 * wait, the least rate is that of a client that really reads: who does not read is out after a quarter of a second, so
 * all places of the line have their turn within about three seconds of such clients.
 */

import { clientKey } from '../ground/client-key.js'
import { FairLine, type Waiter } from '../ground/fair-line.js'

/** A response on its way into the kernel. */
export interface Delivery {
  /** Bytes that the kernel has not taken. */
  readonly waitingBytes: number
  /** Ends the connection, unsent bytes and all. */
  cut(): void
  /** Calls back once, when the kernel has all bytes or the connection is gone; at once where that is so. */
  whenOver(callback: () => void): void
}

export interface LeastRate {
  /** The rate does not count for this time. */
  graceMs: number
  bytesPerSecond: number
}

/** How many responses are under way, how many clients wait and for how long; what a response must keep to. */
export interface SlotLimits extends LeastRate {
  responses: number
  waiting: number
  waitingMs: number
  deadlineMs: number
  whileOthersWait: LeastRate
}

const KB = 1024

export const SLOT_LIMITS: SlotLimits = {
  responses: 8,
  waiting: 64,
  waitingMs: 5000,
  deadlineMs: 15_000,
  graceMs: 2000,
  bytesPerSecond: 64 * KB,
  whileOthersWait: { graceMs: 250, bytesPerSecond: 1024 * KB },
}

const SWEEP_MS = 100

/** A place among the responses under way; to be left exactly once, which `send` sees to. */
export interface ResponseSlot {
  /** A response of `bytes` is on its way. Its end leaves the slot. */
  send(delivery: Delivery, bytes: number): void
  /** There will be no response. */
  leave(): void
}

/**
 * `first`: the bytes that had left at the first look. The kernel's buffers take megabytes at once, even if the client
 * does not read.
 */
interface Sending {
  delivery: Delivery
  bytes: number
  sinceMs: number
  first: { atMs: number; takenBytes: number } | null
}

interface Held {
  sending: Sending | null
}

interface Waiting extends Waiter {
  resolve(slot: ResponseSlot | null): void
  timer: NodeJS.Timeout
}

export class ResponseSlots {
  readonly #limits: SlotLimits
  readonly #now: () => number
  readonly #held = new Set<Held>()
  readonly #line: FairLine<Waiting>
  #entered = 0
  #sweeper: NodeJS.Timeout | null = null

  constructor(limits: Partial<SlotLimits> = {}, now: () => number = () => performance.now()) {
    this.#limits = { ...SLOT_LIMITS, ...limits }
    this.#now = now
    this.#line = new FairLine(this.#limits.waiting)
  }

  /** Resolves with a slot for a client at this address, after a wait if need be; null: no slot becomes free in time. */
  enter(address: string): Promise<ResponseSlot | null> {
    if (this.#held.size < this.#limits.responses && this.#line.length === 0) return Promise.resolve(this.#hold())
    return new Promise(resolve => {
      const giveUp = () => {
        this.#line.leave(waiting)
        waiting.resolve(null)
      }
      const timer = setTimeout(giveUp, this.#limits.waitingMs)
      const waiting: Waiting = {
        client: clientKey(address),
        lane: 0,
        since: ++this.#entered,
        timer,
        resolve: slot => {
          clearTimeout(timer)
          resolve(slot)
        },
        displaced: giveUp,
      }
      if (!this.#line.join(waiting)) waiting.resolve(null)
    })
  }

  #hold(): ResponseSlot {
    const held: Held = { sending: null }
    this.#held.add(held)
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    const leave = () => this.#leave(held)
    return {
      leave,
      send: (delivery, bytes) => {
        held.sending = { delivery, bytes, sinceMs: this.#now(), first: null }
        delivery.whenOver(leave)
      },
    }
  }

  #leave(held: Held): void {
    if (!this.#held.delete(held)) return
    const next = this.#line.next()
    if (next !== undefined) next.resolve(this.#hold())
    if (this.#held.size > 0 || this.#sweeper === null) return
    clearInterval(this.#sweeper)
    this.#sweeper = null
  }

  #sweep(): void {
    const now = this.#now()
    for (const held of [...this.#held]) {
      if (held.sending === null || !this.#isTooSlow(held.sending, now)) continue
      held.sending.delivery.cut()
      this.#leave(held)
    }
  }

  #isTooSlow(sending: Sending, now: number): boolean {
    const takenBytes = sending.bytes - sending.delivery.waitingBytes
    sending.first ??= { atMs: now, takenBytes }
    if (now - sending.sinceMs > this.#limits.deadlineMs) return true
    const rates = this.#line.length > 0 ? [this.#limits, this.#limits.whileOthersWait] : [this.#limits]
    const passedMs = now - sending.first.atMs
    return rates.some(rate => isBelow(passedMs, takenBytes - sending.first!.takenBytes, rate))
  }
}

/** Whether a client that has read so much for so long stays below a least rate. */
function isBelow(passedMs: number, bytes: number, { graceMs, bytesPerSecond }: LeastRate): boolean {
  return bytes < ((passedMs - graceMs) / 1000) * bytesPerSecond
}
