/**
 * Which of the foreign upstreams of a mount gets a request, and which ones are avoided because they failed: nginx's
 * `max_fails` and `fail_timeout`, called `http-max-fails` and `http-gracetime` here. Pure; `upstream-group.ts` acts on
 * it.
 *
 * An upstream that failed this often within the grace time is *out* for the same time. Then a single request tries it.
 * If there is another upstream, that is a request which may be sent twice. Only a response to this trial brings the
 * others back.
 */

/** The health of one upstream. */
export interface UpstreamHealth {
  inFlight: number
  /** Failures since `failingSinceMs`, which is at most a grace time ago. */
  failures: number
  failingSinceMs: number
  /** 0 = in rotation. */
  outUntilMs: number
  /** It is out, and its trial request is under way. */
  onTrial: boolean
}

export interface HealthRules {
  /** 0 = an upstream is never out. */
  maxFails: number
  graceMs: number
}

/** `full`: wait for room at one of them. `exhausted`: each has been tried. */
export type Choice<T> = T | 'full' | 'exhausted'

export function newHealth(): UpstreamHealth {
  return { inFlight: 0, failures: 0, failingSinceMs: 0, outUntilMs: 0, onTrial: false }
}

/**
 * The upstream with the fewest requests in flight among those that the request has not tried and that are in rotation
 * or due for their trial. If all of them are out: the one that would be back first, because a certain refusal helps
 * nobody. Among equals, the first one behind `after`, so that they take turns.
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

/** Counts a failure. True: it put the upstream out of rotation. */
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

/** A response came. True: it brought the upstream back into rotation. */
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
