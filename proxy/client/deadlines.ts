/**
 * How long a client may make the proxy wait while some bytes move: for the next part of a body, for taking a response,
 * and for the end of the connection. The sweep of `connection.ts` makes these objects only for what is still under way
 * then, so a fast request pays nothing. Pure.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'

/** 0 = no deadline, or no rate. */
export type BodyLimits = Pick<ProxySettings, 'httpBodyTimeoutMs' | 'httpBodyMinRateBytesPerSecond'>

/** How long a stopping proxy waits for a request that has not arrived yet. */
export const FAREWELL_MS = 500

/**
 * A client that ends its half of the connection within this time after its request, and before the first byte of the
 * response, has sent both together and reads on, as RFC 9112 §9.6 allows. A client that ends its half later counts as
 * gone: TCP shows the difference only when something is written. The time is that in which the proxy could look, and
 * may be up to twice as long (`TurnsOfLoop`).
 */
export const TOGETHER_MS = 50

/**
 * How long a connection waits for more bytes after its last response, and how long such bytes may come in all. nginx: 5
 * s and 30 s.
 */
export const LINGER_MS = 2000
export const LINGER_MOST_MS = 30_000

/**
 * The time for bytes behind the last response, or for a body that nobody wants. The bytes are read and dropped: an
 * immediate close would reset the connection, and a client that sends its whole body before it reads would never see
 * the response (RFC 9112 §9.6).
 */
export class LingerPace {
  readonly #beganMs: number
  #heardMs: number
  #bytes = 0

  constructor(nowMs: number) {
    this.#beganMs = nowMs
    this.#heardMs = nowMs
  }

  /** `bytes`: how many have come. */
  hasExpired(nowMs: number, bytes: number): boolean {
    if (bytes !== this.#bytes) this.#heardMs = nowMs
    this.#bytes = bytes
    return nowMs - this.#heardMs > LINGER_MS || nowMs - this.#beganMs > LINGER_MOST_MS
  }
}

/**
 * The time for one body. A client below `http-body-min-rate` uses up `http-body-timeout`; a faster one regains it. At
 * zero it gets a 408. So a client that keeps the rate may pause for `http-body-timeout` at any time, and a client that
 * sends a byte now and then cannot go on for ever.
 */
export class BodyPace {
  #atMs: number
  #bytes: number
  #waitedMs = 0
  #silentMs = 0

  /** `bytes`: how many have come at the first look. */
  constructor(nowMs: number, bytes: number) {
    this.#atMs = nowMs
    this.#bytes = bytes
  }

  /** `awaited`: the proxy waits for the client, not for the application. */
  look(nowMs: number, bytes: number, awaited: boolean, limits: BodyLimits): 'body-stalled' | 'body-too-slow' | null {
    const { httpBodyTimeoutMs, httpBodyMinRateBytesPerSecond } = limits
    const elapsedMs = awaited ? nowMs - this.#atMs : 0
    const came = bytes - this.#bytes
    const wonMs =
      httpBodyMinRateBytesPerSecond > 0
        ? (came / httpBodyMinRateBytesPerSecond) * 1000
        : came > 0
          ? Number.POSITIVE_INFINITY
          : 0
    this.#atMs = nowMs
    this.#bytes = bytes
    this.#silentMs = came > 0 ? 0 : this.#silentMs + elapsedMs
    this.#waitedMs = Math.max(0, this.#waitedMs + elapsedMs - wonMs)
    if (httpBodyTimeoutMs === 0 || this.#waitedMs <= httpBodyTimeoutMs) return null
    return this.#silentMs > httpBodyTimeoutMs ? 'body-stalled' : 'body-too-slow'
  }
}

/** Whether the client takes any bytes of its response. */
export class SendPace {
  #sinceMs: number
  #taken: number

  /** `taken`: a number that changes whenever the kernel has taken bytes. */
  constructor(nowMs: number, taken: number) {
    this.#sinceMs = nowMs
    this.#taken = taken
  }

  /** Whether nothing was taken for longer than `httpSendTimeoutMs` (0 = no deadline). */
  isStuck(nowMs: number, taken: number, httpSendTimeoutMs: number): boolean {
    if (taken !== this.#taken) {
      this.#taken = taken
      this.#sinceMs = nowMs
    }
    return httpSendTimeoutMs > 0 && nowMs - this.#sinceMs > httpSendTimeoutMs
  }
}
