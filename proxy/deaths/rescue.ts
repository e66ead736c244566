/**
 * What becomes of a request whose worker died. It depends on whether the application has seen the request. Pure;
 * `rescuer.ts` acts on it, for foreign upstreams `upstream-group.ts`.
 */

import type { WorkerEnd } from '../../kit/channel/messages.js'
import { isIdempotent } from '../../kit/link/frames.js'

/** What is known of the request when its worker is gone. */
export interface Orphan {
  method: string
  /** The client has got a byte of the response. */
  responseBegun: boolean
  /** The worker said that it was about to hand it to the application. Only non-idempotent requests are acknowledged. */
  seen: boolean
  /** Its body is still here, or it has none. */
  replayable: boolean
  attempts: number
  /** Why the worker is gone, as the master says; null: it has not said yet. */
  end: WorkerEnd | null
}

/**
 * `again`: to another worker. `ask`: once the master has said how the worker ended. `break`: the client must see the
 * truncation. `give-up`: 502.
 */
export type Verdict = 'again' | 'ask' | 'break' | 'give-up'

/** An idempotent request is sent twice at most: it may be what kills. */
const IDEMPOTENT_ATTEMPTS = 2
/** One that cannot have done anything, and cannot be the killer, may be sent more often, but not for ever. */
const BLAMELESS_ATTEMPTS = 10
/** The same at foreign upstreams, which are tried one after the other. */
const FOREIGN_ATTEMPTS = 5

export function verdictOn(orphan: Orphan): Verdict {
  const { method, responseBegun, seen, replayable, attempts, end } = orphan
  if (responseBegun) return 'break'
  if (!replayable) return 'give-up'
  if (!isIdempotent(method)) return !seen && attempts < BLAMELESS_ATTEMPTS ? 'again' : 'give-up'
  if (attempts < IDEMPOTENT_ATTEMPTS) return 'again'
  if (!isSafe(method) || attempts >= BLAMELESS_ATTEMPTS) return 'give-up'
  // Somebody kills healthy workers: a request that changes nothing (RFC 9110 §9.2.1) need not pay for that.
  if (end === null) return 'ask'
  return end === 'killed' ? 'again' : 'give-up'
}

/**
 * The same for a request whose foreign upstream failed. There `seen` is known of every method, because it means no more
 * than that bytes of the request were written; `attempts` are those of them that wrote any, `unseenAttempts` the
 * others. Nobody says how it ended, so it is to blame.
 */
export function verdictOnForeign(orphan: Omit<Orphan, 'end'> & { unseenAttempts: number }): Verdict {
  const { responseBegun, seen, replayable, attempts, unseenAttempts } = orphan
  if (responseBegun || seen || !replayable) return verdictOn({ ...orphan, end: 'crashed' })
  return attempts + unseenAttempts < FOREIGN_ATTEMPTS ? 'again' : 'give-up'
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}
