/**
 * How long a client may keep us waiting while something moves: for the next part of a body, for taking a response, and
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
 * How long a connection that has had its last response waits for bytes that may be on their way; and how long they may
 * come. nginx: 5 s and 30 s.
 */
export const LINGER_MS = 2000
export const LINGER_MOST_MS = 30_000

/**
 * The patience with what comes behind the last response, or of a body that nobody wants. It is read and thrown away: to
 * close now would reset the connection, and a client that sends its whole body before it reads would never see the
 * response (RFC 9112 §9.6).
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
  isOver(nowMs: number, bytes: number): boolean {
    if (bytes !== this.#bytes) this.#heardMs = nowMs
    this.#bytes = bytes
    return nowMs - this.#heardMs > LINGER_MS || nowMs - this.#beganMs > LINGER_MOST_MS
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
  constructor(nowMs: number, bytes: number) {
    this.#atMs = nowMs
    this.#bytes = bytes
  }

  /** `awaited`: it is the client whom we wait for, not the application. */
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

/** Whether the reader of a response takes anything of it. */
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
