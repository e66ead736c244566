/**
 * The monotonic clock that all processes of a machine share, for deadlines that the master sets and a proxy keeps, also
 * one that was started after the deadline was set.
 */

/** Milliseconds since the machine started, or near that; steps of the wall clock do not move it. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}
