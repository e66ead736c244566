/**
 * How long a client may keep us waiting while something moves: for the next part of a body, and for taking an answer. Looked at by the sweep of
 * `connection.ts`, which makes one only for what is still under way then; pure, so that a request that is over in time costs nothing.
 */

export interface BodyLimits {
  /** 0 = no deadline. */
  bodyMs: number
  /** 0 = no rate. */
  bodyBytesPerSecond: number
}

/** How long a proxy that goes away waits for a request that has not arrived yet. */
export const FAREWELL_MS = 500

/**
 * The patience with one body: `bodyMs`, used up by waiting and won back by bytes, `bodyBytesPerSecond` for a second. So whoever keeps that pace
 * may pause for `bodyMs` at any time, and whoever sends a byte now and then may not go on for ever.
 */
export class BodyPace {
  #atMs: number
  #bytes: number
  #waitedMs = 0
  #silentMs = 0

  /** `bytes`: how many have come when the first look is taken. */
  constructor(now: number, bytes: number) {
    this.#atMs = now
    this.#bytes = bytes
  }

  /** `awaited`: it is the client whom we wait for, not the application. */
  look(now: number, bytes: number, awaited: boolean, limits: BodyLimits): 'body-stalled' | 'body-too-slow' | null {
    const { bodyMs, bodyBytesPerSecond } = limits
    const elapsedMs = awaited ? now - this.#atMs : 0
    const came = bytes - this.#bytes
    const wonMs = bodyBytesPerSecond > 0 ? (came / bodyBytesPerSecond) * 1000 : came > 0 ? Number.POSITIVE_INFINITY : 0
    this.#atMs = now
    this.#bytes = bytes
    this.#silentMs = came > 0 ? 0 : this.#silentMs + elapsedMs
    this.#waitedMs = Math.max(0, this.#waitedMs + elapsedMs - wonMs)
    if (bodyMs === 0 || this.#waitedMs <= bodyMs) return null
    return this.#silentMs > bodyMs ? 'body-stalled' : 'body-too-slow'
  }
}

/** Whether the reader of an answer takes anything of it. */
export class SendPace {
  #sinceMs: number
  #taken: number

  /** `taken`: a number that changes whenever the kernel has taken bytes. */
  constructor(now: number, taken: number) {
    this.#sinceMs = now
    this.#taken = taken
  }

  /** Whether nothing was taken for longer than `sendMs` (0 = no deadline). */
  isStuck(now: number, taken: number, sendMs: number): boolean {
    if (taken !== this.#taken) {
      this.#taken = taken
      this.#sinceMs = now
    }
    return sendMs > 0 && now - this.#sinceMs > sendMs
  }
}
