/**
 * When a slot, or a proxy's place, may be filled again after a death. Pure. After a first death the next process starts
 * at once. If processes die before they are ready, the tries slow down to one in LONGEST_MS. If they died while they
 * served, the next one starts within LONGEST_SERVING_MS: otherwise a few requests that each kill a worker would end the
 * service for half a minute.
 */

/** How often in a row a place lost its process, and how long it stays empty. */
export interface BackOff {
  /** Deaths in a row, each after less than a healthy life. */
  deaths: number
  /** The place is not filled before this time. */
  notBeforeMs: number
}

/** A place that is new, or whose process ended as it should. */
export const NO_BACK_OFF: BackOff = { deaths: 0, notBeforeMs: 0 }

const SHORTEST_MS = 100
const LONGEST_MS = 30_000
const LONGEST_SERVING_MS = 1000

/** A process that served for this long ends the crash loop. */
export const HEALTHY_MS = 10_000

/** The back-off after an unasked death at `nowMs`. `servedMs` null: the process was never ready. */
export function afterDeath(backOff: BackOff, servedMs: number | null, nowMs: number): BackOff {
  const deaths = servedMs !== null && servedMs >= HEALTHY_MS ? 1 : backOff.deaths + 1
  return { deaths, notBeforeMs: nowMs + delayMs(deaths, servedMs === null ? LONGEST_MS : LONGEST_SERVING_MS) }
}

/**
 * The back-off after a SIGKILL from outside: from an operator, or from the kernel when memory is short. If the process
 * could serve, its application is not at fault and the next one starts at once: it may serve between two kills. If the
 * process was not ready, its start itself may need too much memory, so the tries slow down, but the wait stays short.
 */
export function afterKill(backOff: BackOff, servedMs: number | null, nowMs: number): BackOff {
  return servedMs === null ? afterDeath(backOff, 0, nowMs) : NO_BACK_OFF
}

/**
 * The back-off after a worker asked to be replaced, or lost its sockets, `servedMs` after it was ready. The worker
 * serves until its successor is there, so a loop of such replacements may slow down like a loop of workers that never
 * become ready.
 */
export function afterLoss(backOff: BackOff, servedMs: number, nowMs: number): BackOff {
  const deaths = servedMs >= HEALTHY_MS ? 1 : backOff.deaths + 1
  return { deaths, notBeforeMs: nowMs + delayMs(deaths, LONGEST_MS) }
}

/** The back-off with only a share of the wait that is left at `nowMs`. */
export function shortened({ deaths, notBeforeMs }: BackOff, nowMs: number, share: number): BackOff {
  return { deaths, notBeforeMs: nowMs + (notBeforeMs - nowMs) * share }
}

/** 0, 100, 200, 400 … milliseconds. The exponent is bounded: a loop may run for weeks. */
function delayMs(deaths: number, longestMs: number): number {
  return deaths <= 1 ? 0 : Math.min(longestMs, SHORTEST_MS * 2 ** Math.min(deaths - 2, 20))
}
