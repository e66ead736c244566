/**
 * The content of `daimyo top`, from two reports: rates and latencies are differences between them. Pure;
 * `top-screen.ts` draws it.
 */

import type { TopReport } from '../control/control-protocol.js'

/** `atMs`: the time of the report on any monotonic clock. */
export interface TimedReport {
  report: TopReport
  atMs: number
}

export interface TopView {
  report: TopReport
  /** Requests a second of all workers, and by `workerId`; null: there is nothing to compare with yet. */
  rate: number | null
  rates: Map<number, number>
  /** Upper bounds of 50 % and 99 % of the response times in between; null: there were no responses. */
  p50Seconds: number | null
  p99Seconds: number | null
}

/** `before` null: the first look. */
export function topView(before: TimedReport | null, now: TimedReport): TopView {
  const rates = new Map<number, number>()
  const spanSeconds = before === null ? 0 : (now.atMs - before.atMs) / 1000
  const rateOf = (earlier: number, later: number) => Math.max(0, later - earlier) / spanSeconds
  for (const { workerId, requests } of now.report.status.workers) {
    const earlier = before?.report.status.workers.find(worker => worker.workerId === workerId)
    if (earlier !== undefined && spanSeconds > 0) rates.set(workerId, rateOf(earlier.requests, requests))
  }
  const answered = answeredBetween(before?.report ?? null, now.report)
  const earlier = before === null ? null : totalOf(before.report)
  return {
    report: now.report,
    rate: earlier === null || spanSeconds <= 0 ? null : rateOf(earlier, totalOf(now.report)),
    rates,
    p50Seconds: quantile(answered, 0.5),
    p99Seconds: quantile(answered, 0.99),
  }
}

/** The buckets are cumulative, so the last one holds all. */
function totalOf({ latency }: TopReport): number {
  return latency.at(-1)?.count ?? 0
}

function answeredBetween(before: TopReport | null, now: TopReport): TopReport['latency'] {
  return now.latency.map(({ seconds, count }, at) => ({
    seconds,
    count: Math.max(0, count - (before?.latency[at]?.count ?? 0)),
  }))
}

/** The bound of the bucket in which the share is reached; null if it is beyond the last one. */
function quantile(buckets: TopReport['latency'], share: number): number | null {
  const all = buckets.at(-1)?.count ?? 0
  if (all === 0) return null
  return buckets.find(({ count }) => count >= all * share)?.seconds ?? null
}
