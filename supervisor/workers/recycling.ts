/**
 * When a worker has lived long enough: requests, time and memory, as uWSGI counts them. Pure. Must stay true: recycling
 * only ever asks for a replacement; the old worker serves until that is linked. `evil` alone kills.
 */

import { afterLoss, type BackOff } from '../child/back-off.js'
import type { Settings } from '../config/values/settings.js'
import { RESTART_WORKER } from './worker-life.js'

/**
 * The limits in force for the workers of a generation, 0 = none. `minWorkerLifetimeMs` null: none, but for
 * `reload-on-rss` REST_MS.
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

/** A worker that serves. `asked`: a limit that it has passed, or another reason to replace it. */
export interface RecycleFacts {
  slot: number
  ageMs: number
  asked: string | null
}

/** Why it is to be replaced now, null: it stays; then `waitMs` is when to look again, null: when something happens. */
export interface RecycleVerdict {
  why: string | null
  waitMs: number | null
}

/** A limit below what the application needs anyway must not make it start without a pause. */
export const REST_MS = 60_000

/** Reasons that come from limits; a person's reason waits for nothing. */
const LIMITS: ReadonlySet<string> = new Set(['max-requests', 'max-worker-lifetime', 'reload-on-rss'])

/** Of a person's: such a reason waits for no other slot's, and for nothing that the worker itself has done. */
export function isOrdered(why: string): boolean {
  return why === RESTART_WORKER
}

/** What a worker can bring about as often as it likes. A time that the INI sets is none of that. */
export function isPaced(why: string): boolean {
  return !isOrdered(why) && why !== 'max-worker-lifetime'
}

/**
 * When the slot of a worker that is replaced for what it has brought about may do so again: a loop slows down as one of
 * workers that never get ready. `servedMs`: how long it served before it asked.
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

/** What the memory of a worker calls for. */
export function judgeMemory(rssBytes: number, limits: RecycleLimits): 'nothing' | 'replace' | 'kill' {
  const { reloadOnRssBytes, evilReloadOnRssBytes } = limits
  if (evilReloadOnRssBytes > 0 && rssBytes > evilReloadOnRssBytes) return 'kill'
  return reloadOnRssBytes > 0 && rssBytes > reloadOnRssBytes ? 'replace' : 'nothing'
}

/** After how many requests the worker of a slot asks to be replaced, 0 = never. */
export function requestsOf(slot: number, { maxRequests, maxRequestsDelta }: RecycleLimits): number {
  return maxRequests === 0 ? 0 : maxRequests + slot * maxRequestsDelta
}
