/**
 * Long work on the master's event loop, in slices. The data of other processes decides how long the work takes, and
 * signals, deaths and deadlines must not wait for it. The work is a generator that yields wherever it may pause.
 */

import { setImmediate } from 'node:timers/promises'

/** Work that may pause at each `yield`. */
export type Slices<Result> = Generator<undefined, Result>

/** The loop is given back after this time. A slice of the work takes a millisecond or two. */
const HELD_MS = 8

/** The result of the work. Other events are handled whenever the work has held the loop for `HELD_MS`. */
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
