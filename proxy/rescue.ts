/**
 * What becomes of a request whose worker died: design §3, "who has seen what". Pure; `phases.ts` acts on it.
 */

import { isIdempotent } from '../kit/frames.js'

/** What is known of the request when its worker is gone. */
export interface Orphan {
  method: string
  /** The client has got a byte of the answer. */
  answerBegun: boolean
  /** The worker said that it was about to hand it to the application. Only non-idempotent requests are acknowledged. */
  seen: boolean
  /** Its body is still here, or it has none. */
  replayable: boolean
  attempts: number
}

/** `again`: to another worker. `break`: the client must see the truncation. `give-up`: 502. */
export type Verdict = 'again' | 'break' | 'give-up'

/** An idempotent request is sent twice at most; one that the application never saw may be sent more often, but not for ever. */
const IDEMPOTENT_ATTEMPTS = 2
const UNSEEN_ATTEMPTS = 5

/**
 * The same for a request whose foreign upstream failed. There `seen` is known of every method, because it means no more than that bytes of the request
 * were written; `attempts` are those of them that wrote any, `unseenAttempts` the others.
 */
export function verdictOnForeign(orphan: Orphan & { unseenAttempts: number }): Verdict {
  const { answerBegun, seen, replayable, attempts, unseenAttempts } = orphan
  if (answerBegun || seen || !replayable) return verdictOn(orphan)
  return attempts + unseenAttempts < UNSEEN_ATTEMPTS ? 'again' : 'give-up'
}

export function verdictOn(orphan: Orphan): Verdict {
  if (orphan.answerBegun) return 'break'
  if (!orphan.replayable) return 'give-up'
  if (isIdempotent(orphan.method)) return orphan.attempts < IDEMPOTENT_ATTEMPTS ? 'again' : 'give-up'
  return !orphan.seen && orphan.attempts < UNSEEN_ATTEMPTS ? 'again' : 'give-up'
}
