/**
 * One metric with all its label sets, in the shape that prom-client's `getMetricsAsJSON()` gives: what proxies and
 * workers send to the master, what the master merges and prints.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary'

/** How gauges of several processes become one, as prom-client's `aggregator` option says. */
export type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'

export interface MetricFamily {
  name: string
  help: string
  type: MetricType
  aggregator: Aggregator
  values: MetricSample[]
}

/** `metricName` is set where it differs from the family's: `x_bucket`, `x_sum`, `x_count`. */
export interface MetricSample {
  labels: Record<string, string | number>
  value: number
  metricName?: string
}

/**
 * Whether only daimyo itself may use the name. A worker that could use it would forge what the master and the proxies
 * count.
 */
export function isReservedName(name: string): boolean {
  return name === 'daimyo' || name.startsWith('daimyo_')
}
