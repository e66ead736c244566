/**
 * From the samples of several rounds to the figures that are printed. Pure; `measure.ts` and `report.ts` call it.
 * A sample with a reason to be invalid never enters a figure.
 */

/** One run of the load generator against one stack. `errors` counts wrong statuses and socket errors. */
export interface Sample {
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
  cpuMicrosecondsPerRequest: number
  errors: number
  /** Why its figures must not be used, null when they may. */
  invalid: string | null
}

/** Medians over the valid samples; null where there is none. `errors` is the sum over all samples. */
export interface Figures {
  requestsPerSecond: number | null
  p50Ms: number | null
  p99Ms: number | null
  cpuMicrosecondsPerRequest: number | null
  errors: number
  rounds: number
  /** One reason for each invalid sample. */
  invalid: string[]
}

/** The figures of one stack from all its samples of one case. */
export function summarize(samples: readonly Sample[]): Figures {
  const valid = samples.filter(sample => sample.invalid === null)
  return {
    requestsPerSecond: median(valid.map(sample => sample.requestsPerSecond)),
    p50Ms: median(valid.map(sample => sample.p50Ms)),
    p99Ms: median(valid.map(sample => sample.p99Ms)),
    cpuMicrosecondsPerRequest: median(valid.map(sample => sample.cpuMicrosecondsPerRequest)),
    errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
    rounds: samples.length,
    invalid: samples.flatMap(sample => sample.invalid ?? []),
  }
}

/** The middle value, or the mean of the two in the middle; null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2
}

/** `value` as a multiple of `base`; null where either is missing or the base is 0. */
export function ratio(value: number | null | undefined, base: number | null | undefined): number | null {
  return value == null || base == null || base === 0 ? null : value / base
}

/** The list begun at another place each round, so that no stack always runs after the same other one. */
export function rotate<T>(list: readonly T[], round: number): T[] {
  const start = list.length === 0 ? 0 : round % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}
