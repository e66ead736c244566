/**
 * What becomes of a request whose worker died. It depends on whether the application has seen the request. Pure;
 * `rescuer.ts` acts on it, and `upstream-group.ts` for foreign upstreams.
 */

import type { WorkerEnd } from '../../kit/channel/messages.js'
import { isIdempotent } from '../../kit/link/frames.js'

/** The facts about a request when its worker is gone. */
export interface Orphan {
  method: string
  /** The client has got a byte of the response. */
  responseBegun: boolean
  /**
   * The worker said that it was about to hand the request to the application. Only non-idempotent requests are
   * acknowledged.
   */
  seen: boolean
  /** The request body is still here, or there is none. */
  replayable: boolean
  attempts: number
  /** Why the worker is gone, as the master says; null: not known yet. */
  end: WorkerEnd | null
}

/**
 * `again`: send it to another worker. `ask`: wait until the master has said how the worker ended. `break`: the client
 * must see the truncation. `give-up`: 502.
 */
export type Verdict = 'again' | 'ask' | 'break' | 'give-up'

/** An idempotent request is sent twice at most: it may be the one that kills. */
const IDEMPOTENT_ATTEMPTS = 2
/** A request that cannot have had an effect, and cannot be the killer, may be sent more often, but not for ever. */
const BLAMELESS_ATTEMPTS = 10
/** The same for foreign upstreams, which are tried one after the other. */
const FOREIGN_ATTEMPTS = 5

export function verdictOn(orphan: Orphan): Verdict {
  const { method, responseBegun, seen, replayable, attempts, end } = orphan
  if (responseBegun) return 'break'
  if (!replayable) return 'give-up'
  if (!isIdempotent(method)) return !seen && attempts < BLAMELESS_ATTEMPTS ? 'again' : 'give-up'
  if (attempts < IDEMPOTENT_ATTEMPTS) return 'again'
  if (!isSafe(method) || attempts >= BLAMELESS_ATTEMPTS) return 'give-up'
  // A SIGKILL from outside may have hit a healthy worker: a request that changes nothing (RFC 9110 §9.2.1) need not pay
  // for that.
  if (end === null) return 'ask'
  return end === 'killed' ? 'again' : 'give-up'
}

/**
 * The same for a request whose foreign upstream failed. There `seen` is known for every method, because it only means
 * that bytes of the request were written. `attempts` counts the tries that wrote any bytes, `unseenAttempts` the
 * others. No master says how the upstream ended, so the request is to blame.
 */
export function verdictOnForeign(orphan: Omit<Orphan, 'end'> & { unseenAttempts: number }): Verdict {
  const { responseBegun, seen, replayable, attempts, unseenAttempts } = orphan
  if (responseBegun || seen || !replayable) return verdictOn({ ...orphan, end: 'crashed' })
  return attempts + unseenAttempts < FOREIGN_ATTEMPTS ? 'again' : 'give-up'
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}
