/**
 * When a worker is old enough to be replaced: by requests, time and memory, as in uWSGI. Pure. What must stay true:
 * recycling only asks for a replacement, and the old worker serves until that is linked. Only `evil-reload-on-rss`
 * kills.
 */

import { afterLoss, type BackOff } from '../child/back-off.js'
import type { Settings } from '../config/values/settings.js'
import { RESTART_WORKER } from './worker-life.js'

/**
 * The limits for the workers of a generation. 0: none. `minWorkerLifetimeMs` null: none, except REST_MS for
 * `reload-on-rss`.
 */
export type RecycleLimits = Pick<
  Settings,
  | 'maxRequests'
  | 'maxRequestsDelta'
  | 'maxWorkerLifetimeMs'
  | 'maxWorkerLifetimeDeltaMs'
  | 'minWorkerLifetimeMs'
  | 'reloadOnRssBytes'
  | 'evilReloadOnRssBytes'
>

/** A worker that serves. `asked`: the limit that it has passed, or another reason to replace it. */
export interface RecycleFacts {
  slot: number
  ageMs: number
  asked: string | null
}

/**
 * `why`: the reason to replace the worker now. Null: it stays, and `waitMs` says when to check again. `waitMs` null:
 * only after an event.
 */
export interface RecycleVerdict {
  why: string | null
  waitMs: number | null
}

/**
 * The least lifetime under `reload-on-rss`. A limit below the application's normal memory must not make workers start
 * without a pause.
 */
export const REST_MS = 60_000

/** Reasons that come from limits. An operator's reason waits for nothing. */
const LIMITS: ReadonlySet<string> = new Set(['max-requests', 'max-worker-lifetime', 'reload-on-rss'])

/**
 * Whether an operator gave the reason. Such a replacement does not wait for other slots, nor for the pace of the
 * worker's own requests.
 */
export function isOrdered(why: string): boolean {
  return why === RESTART_WORKER
}

/** Whether a worker can cause this reason as often as it likes. A lifetime that the INI sets is not such a reason. */
export function isPaced(why: string): boolean {
  return !isOrdered(why) && why !== 'max-worker-lifetime'
}

/**
 * The pace of a slot after a replacement that the worker itself caused. A loop of such replacements slows down like a
 * loop of workers that never become ready. `servedMs`: how long the worker served before it asked.
 */
export function paceAfter(pace: BackOff, why: string, servedMs: number, nowMs: number): BackOff {
  return isPaced(why) ? afterLoss(pace, servedMs, nowMs) : pace
}

/** Whether a worker is to be replaced now. */
export function judgeAge(facts: RecycleFacts, limits: RecycleLimits): RecycleVerdict {
  const { ageMs, slot, asked } = facts
  if (asked !== null && !LIMITS.has(asked)) return { why: asked, waitMs: null }
  const { maxWorkerLifetimeMs, maxWorkerLifetimeDeltaMs, minWorkerLifetimeMs } = limits
  const maxMs = maxWorkerLifetimeMs === 0 ? null : maxWorkerLifetimeMs + slot * maxWorkerLifetimeDeltaMs
  const candidates: [why: string, atMs: number][] = []
  if (asked !== null) candidates.push([asked, minWorkerLifetimeMs ?? (asked === 'reload-on-rss' ? REST_MS : 0)])
  if (maxMs !== null) candidates.push(['max-worker-lifetime', Math.max(maxMs, minWorkerLifetimeMs ?? 0)])
  const due = candidates.find(([, atMs]) => ageMs >= atMs)
  if (due !== undefined) return { why: due[0], waitMs: null }
  const waits = candidates.map(([, atMs]) => atMs - ageMs)
  return { why: null, waitMs: waits.length === 0 ? null : Math.min(...waits) }
}

/** What the memory of a worker requires. */
export function judgeMemory(rssBytes: number, limits: RecycleLimits): 'nothing' | 'replace' | 'kill' {
  const { reloadOnRssBytes, evilReloadOnRssBytes } = limits
  if (evilReloadOnRssBytes > 0 && rssBytes > evilReloadOnRssBytes) return 'kill'
  return reloadOnRssBytes > 0 && rssBytes > reloadOnRssBytes ? 'replace' : 'nothing'
}

/** The number of requests after which the worker of a slot asks to be replaced. 0: never. */
export function requestsOf(slot: number, { maxRequests, maxRequestsDelta }: RecycleLimits): number {
  return maxRequests === 0 ? 0 : maxRequests + slot * maxRequestsDelta
}
