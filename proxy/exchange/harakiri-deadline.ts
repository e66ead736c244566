/**
 * How long a request may take: by `harakiri`, by the longest `mount-harakiri` of its path, or by what the application
 * said of it. Used by `request-lifecycle.ts`, `upstream-group.ts`, `link.ts` and `harakiri.ts`. Pure.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from './exchange.js'

/** `mountHarakiri` has the longest prefixes first, each with a slash at its end. */
export type HarakiriRules = Pick<ProxySettings, 'harakiriMs' | 'mountHarakiri'>

/** 0: as long as it likes. */
export function harakiriMsOf(exchange: Pick<Exchange, 'ownHarakiriMs' | 'path'>, rules: HarakiriRules): number {
  if (exchange.ownHarakiriMs !== null) return exchange.ownHarakiriMs
  if (rules.mountHarakiri.length === 0) return rules.harakiriMs
  const path = `${exchange.path}/`
  return rules.mountHarakiri.find(({ mount }) => path.startsWith(mount))?.ms ?? rules.harakiriMs
}

/**
 * The application says how much time it has from now on. Of a request that is still arriving, the clock starts with its
 * last byte.
 */
export function overrideHarakiri(exchange: Exchange, ms: number, nowMs: number): void {
  exchange.ownHarakiriMs = ms
  if (exchange.bodyComplete && !exchange.responseBegun) exchange.deadlineMs = ms === 0 ? 0 : nowMs + ms
}
