/**
 * How long a request may take: by `harakiri`, by the longest `mount-harakiri` of its path, or by the application's own
 * word. Pure.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { AskedRequest, CurrentAttempt, RequestBody, ResponseProgress } from './exchange-parts.js'

/** `mountHarakiri` is ordered, the longest prefix first; each prefix ends with a slash. */
export type HarakiriRules = Pick<ProxySettings, 'harakiriMs' | 'mountHarakiri'>

/** 0: no deadline. */
export function harakiriMsOf(
  exchange: Pick<CurrentAttempt<unknown>, 'ownHarakiriMs'> & Pick<AskedRequest, 'path'>,
  rules: HarakiriRules,
): number {
  if (exchange.ownHarakiriMs !== null) return exchange.ownHarakiriMs
  if (rules.mountHarakiri.length === 0) return rules.harakiriMs
  const path = `${exchange.path}/`
  return rules.mountHarakiri.find(({ mount }) => path.startsWith(mount))?.ms ?? rules.harakiriMs
}

/**
 * The application says how much time the request has from now on. If the request is still arriving, the clock starts
 * with its last byte.
 */
export function overrideHarakiri(
  exchange: Pick<CurrentAttempt<unknown>, 'ownHarakiriMs' | 'deadlineMs'> &
    Pick<RequestBody<unknown>, 'bodyComplete'> &
    Pick<ResponseProgress, 'responseBegun'>,
  ms: number,
  nowMs: number,
): void {
  exchange.ownHarakiriMs = ms
  if (exchange.bodyComplete && !exchange.responseBegun) exchange.deadlineMs = ms === 0 ? 0 : nowMs + ms
}
