/**
 * When a slot, or a proxy's place, may be filled again after a death. Pure; used by `slots.ts`, `pool.ts` and `proxies.ts`.
 * A first death is made good at once; a crash loop slows down to one try in LONGEST_MS and never ends.
 */

export interface BackOff {
  /** Deaths in a row, each after less than a healthy life. */
  deaths: number
  /** Not to be filled before. */
  notBeforeMs: number
}

export const NO_BACK_OFF: BackOff = { deaths: 0, notBeforeMs: 0 }

const SHORTEST_MS = 100
const LONGEST_MS = 30_000

/** A life that ends the crash loop before it, counted from when it could serve. */
export const HEALTHY_MS = 10_000

/** The back-off after an unasked death at `nowMs`; `servedMs` 0: it was never ready. */
export function afterDeath(backOff: BackOff, servedMs: number, nowMs: number): BackOff {
  const deaths = servedMs >= HEALTHY_MS ? 1 : backOff.deaths + 1
  return { deaths, notBeforeMs: nowMs + delayMs(deaths) }
}

/** 0, 100, 200, 400 … 30,000 milliseconds. The exponent is bounded: a loop may run for weeks. */
function delayMs(deaths: number): number {
  return deaths <= 1 ? 0 : Math.min(LONGEST_MS, SHORTEST_MS * 2 ** Math.min(deaths - 2, 20))
}
