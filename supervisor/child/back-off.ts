/**
 * When a slot, or a proxy's place, may be filled again after a death. Pure. A first death is made good at once. What
 * dies before it is ready slows down to one try in LONGEST_MS; what could serve comes back within LONGEST_SERVING_MS,
 * or a few requests that each kill a worker would end the service for half a minute.
 */

/** How often in a row a place lost its process, and until when it stays empty. */
export interface BackOff {
  /** Deaths in a row, each after less than a healthy life. */
  deaths: number
  /** Not to be filled before. */
  notBeforeMs: number
}

/** Of a place that is new, or whose process ended as it should. */
export const NO_BACK_OFF: BackOff = { deaths: 0, notBeforeMs: 0 }

const SHORTEST_MS = 100
const LONGEST_MS = 30_000
const LONGEST_SERVING_MS = 1000

/** A life that ends the crash loop before it, counted from when it could serve. */
export const HEALTHY_MS = 10_000

/** The back-off after an unasked death at `nowMs`; `servedMs` null: it was never ready. */
export function afterDeath(backOff: BackOff, servedMs: number | null, nowMs: number): BackOff {
  const deaths = servedMs !== null && servedMs >= HEALTHY_MS ? 1 : backOff.deaths + 1
  return { deaths, notBeforeMs: nowMs + delayMs(deaths, servedMs === null ? LONGEST_MS : LONGEST_SERVING_MS) }
}

/**
 * The back-off after somebody else's SIGKILL: of an operator, or of the kernel when memory is short. It says nothing
 * against an application that could serve, whose place is filled at once: what can serve for a moment between two kills
 * serves. Before that it may be the memory that the start itself needs, so its tries slow down, though never for long.
 */
export function afterKill(backOff: BackOff, servedMs: number | null, nowMs: number): BackOff {
  return servedMs === null ? afterDeath(backOff, 0, nowMs) : NO_BACK_OFF
}

/**
 * The back-off after a worker asked to be replaced, or lost its sockets, `servedMs` after it was ready. It serves until
 * its next one has come, so a loop of such replacements slows down as one of workers that never get ready.
 */
export function afterLoss(backOff: BackOff, servedMs: number, nowMs: number): BackOff {
  const deaths = servedMs >= HEALTHY_MS ? 1 : backOff.deaths + 1
  return { deaths, notBeforeMs: nowMs + delayMs(deaths, LONGEST_MS) }
}

/** The same with a share of the wait from `nowMs` on. */
export function shortened({ deaths, notBeforeMs }: BackOff, nowMs: number, share: number): BackOff {
  return { deaths, notBeforeMs: nowMs + (notBeforeMs - nowMs) * share }
}

/** 0, 100, 200, 400 … milliseconds. The exponent is bounded: a loop may run for weeks. */
function delayMs(deaths: number, longestMs: number): number {
  return deaths <= 1 ? 0 : Math.min(longestMs, SHORTEST_MS * 2 ** Math.min(deaths - 2, 20))
}
