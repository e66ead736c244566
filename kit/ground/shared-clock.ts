/**
 * The monotonic clock that all processes of a machine share: for deadlines that the master sets and a proxy keeps, even
 * a proxy that started after the deadline was set.
 */

/** Milliseconds since about the start of the machine. Steps of the wall clock do not move it. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}
