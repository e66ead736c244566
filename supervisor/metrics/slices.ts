/**
 * Long work on the master's loop, in slices: what other processes ship decides how long it takes, and signals, deaths
 * and deadlines must not wait for it. The work is a generator that yields wherever it may pause.
 */

import { setImmediate } from 'node:timers/promises'

/** Work that may pause at each `yield`. */
export type Slices<Result> = Generator<undefined, Result>

/** How long the loop is held at once; a slice of the work itself takes a millisecond or two. */
const HELD_MS = 8

/** The result of the work; the loop turns whenever it was held for a few milliseconds. */
export async function inSlices<Result>(work: Slices<Result>): Promise<Result> {
  let sinceMs = performance.now()
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    if (performance.now() - sinceMs < HELD_MS) continue
    await setImmediate()
    sinceMs = performance.now()
  }
}

/** The result of the work, without a pause. */
export function atOnce<Result>(work: Slices<Result>): Result {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
