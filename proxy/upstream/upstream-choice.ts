/**
 * Which of the foreign upstreams of a mount gets a request, and which of them is left alone because it failed: nginx's
 * `max_fails` and `fail_timeout`, called `http-max-fails` and `http-gracetime` here. Pure; `upstream-group.ts` acts on
 * it.
 *
 * An upstream that failed so often within the grace time is *out* for as long. Then a single request tries it, one that
 * may be sent twice where there is another upstream; only what comes of that brings the others back.
 */

/** What is known of one upstream. */
export interface UpstreamHealth {
  inFlight: number
  /** Failures since `failingSinceMs`, which is at most a grace time ago. */
  failures: number
  failingSinceMs: number
  /** 0 = in rotation. */
  outUntilMs: number
  /** It is out and has got its one request. */
  onTrial: boolean
}

export interface HealthRules {
  /** 0 = an upstream is never out. */
  maxFails: number
  graceMs: number
}

/** `full`: wait, one of them will have room. `exhausted`: each has been tried. */
export type Choice<T> = T | 'full' | 'exhausted'

export function newHealth(): UpstreamHealth {
  return { inFlight: 0, failures: 0, failingSinceMs: 0, outUntilMs: 0, onTrial: false }
}

/**
 * The one with the fewest in flight of those in rotation or due for their trial that the request has not tried. Where
 * all of those are out, the one that would be back first: a refusal for certain helps nobody. Of equals the first
 * behind `after`, so that they take turns.
 */
export function chooseUpstream<T extends UpstreamHealth>(
  all: readonly T[],
  tried: ReadonlySet<T>,
  { nowMs, limit, after, mayTrial }: { nowMs: number; limit: number; after: number; mayTrial: boolean },
): Choice<T> {
  const untried = rotated(all, after).filter(one => !tried.has(one))
  if (untried.length === 0) return 'exhausted'
  const eligible = untried.filter(one => one.outUntilMs === 0 || (mayTrial && one.outUntilMs <= nowMs && !one.onTrial))
  const candidates = eligible.length > 0 ? eligible : untried.filter(one => one.outUntilMs === soonest(untried))
  const best = candidates.reduce((least, one) => (one.inFlight < least.inFlight ? one : least))
  return best.inFlight < limit ? best : 'full'
}

/** Counts a failure; true: that put it out of rotation. */
export function countFailure(health: UpstreamHealth, { maxFails, graceMs }: HealthRules, nowMs: number): boolean {
  if (maxFails === 0) return false
  if (health.failures === 0 || nowMs - health.failingSinceMs > graceMs) {
    health.failures = 0
    health.failingSinceMs = nowMs
  }
  health.failures += 1
  const wasOut = health.outUntilMs !== 0
  if (!wasOut && health.failures < maxFails) return false
  health.outUntilMs = nowMs + graceMs
  health.onTrial = false
  return !wasOut
}

/** A response came; true: that brought it back into rotation. */
export function countSuccess(health: UpstreamHealth): boolean {
  const wasOut = health.outUntilMs !== 0
  health.failures = 0
  health.outUntilMs = 0
  health.onTrial = false
  return wasOut
}

function rotated<T>(all: readonly T[], after: number): T[] {
  return [...all.slice(after + 1), ...all.slice(0, after + 1)]
}

function soonest(all: readonly UpstreamHealth[]): number {
  return Math.min(...all.map(one => one.outUntilMs))
}
