/**
 * How long a client may keep us waiting while something moves: for the next part of a body, for taking an answer, and
 * for its own end. Looked at by the sweep of `connection.ts`, which makes one only for what is still under way then;
 * pure, so that a request that is over in time costs nothing.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'

/** 0 = no deadline, and no rate. */
export type BodyLimits = Pick<ProxySettings, 'httpBodyTimeoutMs' | 'httpBodyMinRateBytesPerSecond'>

/** How long a proxy that goes away waits for a request that has not arrived yet. */
export const FAREWELL_MS = 500

/**
 * A client that ends its half of the connection within this time behind a request, and before the first byte of the
 * response, has sent both together and reads on, as RFC 9112 §9.6 allows. One that ends later has left: TCP tells the
 * two apart only when something is written.
 */
export const TOGETHER_MS = 50

/**
 * How long a connection that has had its last answer waits for bytes that may be on their way; and how long they may
 * come. nginx: 5 s and 30 s.
 */
export const LINGER_MS = 2000
export const LINGER_MOST_MS = 30_000

/**
 * The patience with what comes behind the last answer, or of a body that nobody wants. It is read and thrown away: to
 * close now would reset the connection, and a client that sends its whole body before it reads would never see the
 * answer (RFC 9112 §9.6).
 */
export class LingerPace {
  readonly #beganMs: number
  #heardMs: number
  #bytes = 0

  constructor(now: number) {
    this.#beganMs = now
    this.#heardMs = now
  }

  /** `bytes`: how many have come. */
  isOver(now: number, bytes: number): boolean {
    if (bytes !== this.#bytes) this.#heardMs = now
    this.#bytes = bytes
    return now - this.#heardMs > LINGER_MS || now - this.#beganMs > LINGER_MOST_MS
  }
}

/**
 * The patience with one body: `http-body-timeout`, used up by waiting and won back by bytes, `http-body-min-rate` for
 * a second. So whoever keeps that pace may pause for `http-body-timeout` at any time, and whoever sends a byte now and
 * then may not go on for ever.
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
    const { httpBodyTimeoutMs, httpBodyMinRateBytesPerSecond } = limits
    const elapsedMs = awaited ? now - this.#atMs : 0
    const came = bytes - this.#bytes
    const wonMs =
      httpBodyMinRateBytesPerSecond > 0
        ? (came / httpBodyMinRateBytesPerSecond) * 1000
        : came > 0
          ? Number.POSITIVE_INFINITY
          : 0
    this.#atMs = now
    this.#bytes = bytes
    this.#silentMs = came > 0 ? 0 : this.#silentMs + elapsedMs
    this.#waitedMs = Math.max(0, this.#waitedMs + elapsedMs - wonMs)
    if (httpBodyTimeoutMs === 0 || this.#waitedMs <= httpBodyTimeoutMs) return null
    return this.#silentMs > httpBodyTimeoutMs ? 'body-stalled' : 'body-too-slow'
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

  /** Whether nothing was taken for longer than `httpSendTimeoutMs` (0 = no deadline). */
  isStuck(now: number, taken: number, httpSendTimeoutMs: number): boolean {
    if (taken !== this.#taken) {
      this.#taken = taken
      this.#sinceMs = now
    }
    return httpSendTimeoutMs > 0 && now - this.#sinceMs > httpSendTimeoutMs
  }
}
