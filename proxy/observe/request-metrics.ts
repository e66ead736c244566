/**
 * What a proxy counts about requests, outside anything that an application can block. Shipped to the master once a
 * second, which adds the families of all proxies.
 */

import { METHODS } from 'node:http'
import type { MetricFamily, MetricSample } from '../../kit/channel/metric-family.js'
import type { ErrorCode } from '../http/error-response.js'
import type { RefusalCode } from '../http/refusal.js'
import { type LimitName, limitBehind } from './limit-names.js'
import { TunnelMetrics } from './tunnel-metrics.js'

/** Upper bounds in seconds, from a response out of memory to a slow report. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

/** Observations of one label set; `counts[i]` are those within `BOUNDS[i]` and above the bound before it. */
class Histogram {
  readonly counts = new Array<number>(BOUNDS.length + 1).fill(0)
  sum = 0
  count = 0

  observe(seconds: number): void {
    let bucket = 0
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket += 1
    this.counts[bucket]! += 1
    this.sum += seconds
    this.count += 1
  }
}

type Labels = Record<string, string | number>

/**
 * The series of one metric. A series is found by its labels, without making a key of them: that happens for every
 * request.
 */
class HistogramFamily {
  readonly #name: string
  readonly #help: string
  readonly #series: { labels: Labels; histogram: Histogram }[] = []

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  /** Adds a series. */
  add(labels: Labels): Histogram {
    const histogram = new Histogram()
    this.#series.push({ labels, histogram })
    return histogram
  }

  family(): MetricFamily {
    const values = this.#series.flatMap(({ labels, histogram }) => this.#samples(labels, histogram))
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }

  /** The counts of the same label sets, as a counter of its own. */
  counts(): MetricSample[] {
    return this.#series.map(({ labels, histogram }) => ({ labels, value: histogram.count }))
  }

  #samples(labels: Labels, histogram: Histogram): MetricSample[] {
    let below = 0
    const buckets = histogram.counts.map((count, index) => {
      below += count
      return { labels: { ...labels, le: BOUNDS[index] ?? '+Inf' }, value: below, metricName: `${this.#name}_bucket` }
    })
    return [
      ...buckets,
      { labels, value: histogram.sum, metricName: `${this.#name}_sum` },
      { labels, value: histogram.count, metricName: `${this.#name}_count` },
    ]
  }
}

/** The value of `key`, made at its first use. */
function found<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}

/** A counter by one label. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  samples(label: string): MetricSample[] {
    return [...this.#counts].map(([key, value]) => ({ labels: { [label]: key }, value }))
  }
}

/** Gauges that are read when the families are made. */
export interface ProxyLoad {
  connections: number
  queued: number
  tunnels: number
  accessLogLostBytes: number
}

export class RequestMetrics {
  readonly #total = new HistogramFamily(
    'daimyo_request_duration_seconds',
    'Time from the last byte of the head to the last byte of the response.',
  )
  readonly #firstByte = new HistogramFamily(
    'daimyo_request_first_byte_seconds',
    'Time from handing a request to a worker to the first byte of its response.',
  )
  readonly #queue = new HistogramFamily(
    'daimyo_request_queue_seconds',
    'Time that requests waited for a worker, of those that had to.',
  )
  /** By mount, by method, by the first digit of the status. */
  readonly #totals = new Map<string, Map<string, Histogram[]>>()
  /** The series of the last request, which as a rule is that of the next: three searches less. */
  #last: { mount: string; method: string; statusClass: number; histogram: Histogram } | null = null
  readonly #firstBytes = new Map<string, Histogram>()
  readonly #queues = new Map<string, Histogram>()
  readonly #harakiris = new Tally()
  readonly #rescues = new Tally()
  readonly #refusals = new Tally()
  readonly #errors = new Tally()
  readonly tunnels = new TunnelMetrics()
  readonly #limits = new Tally()
  readonly #compressions = new Tally()
  #quarantines = 0
  connections = 0

  finished(mount: string, method: string, status: number, seconds: number): void {
    const statusClass = Math.floor(status / 100)
    const last = this.#last
    if (last !== null && last.mount === mount && last.method === method && last.statusClass === statusClass)
      last.histogram.observe(seconds)
    else {
      const histogram = this.#totalOf(mount, method, statusClass)
      histogram.observe(seconds)
      this.#last = { mount, method, statusClass, histogram }
    }
  }

  #totalOf(mount: string, method: string, statusClass: number): Histogram {
    // A method's spelling comes from the client; only known ones become labels.
    const known = KNOWN_METHODS.has(method) ? method : 'other'
    const byMethod = found(this.#totals, mount, () => new Map<string, Histogram[]>())
    const byClass = found(byMethod, known, () => [])
    byClass[statusClass] ??= this.#total.add({ mount, method: known, status: `${statusClass}xx` })
    return byClass[statusClass]
  }

  firstByte(mount: string, seconds: number): void {
    found(this.#firstBytes, mount, () => this.#firstByte.add({ mount })).observe(seconds)
  }

  queued(mount: string, seconds: number): void {
    found(this.#queues, mount, () => this.#queue.add({ mount })).observe(seconds)
  }

  harakiri(mount: string): void {
    this.#harakiris.add(mount)
  }

  /** `outcome`: `again` or `given-up`. */
  rescue(outcome: string): void {
    this.#rescues.add(outcome)
  }

  quarantine(): void {
    this.#quarantines += 1
  }

  refused(code: RefusalCode): void {
    this.#refusals.add(code)
    this.#limited(code)
  }

  error(code: ErrorCode): void {
    this.#errors.add(code)
    this.#limited(code)
  }

  /** A limit that no response of the proxy's own shows. */
  limited(name: LimitName): void {
    this.#limits.add(name)
  }

  /** `coding`: `none` if too many compressors were open. */
  compressed(coding: string): void {
    this.#compressions.add(coding)
  }

  families(load: ProxyLoad): MetricFamily[] {
    return [
      counter(
        'daimyo_requests_total',
        'Requests with a response, by mount, method and class of status.',
        this.#total.counts(),
      ),
      this.#total.family(),
      this.#firstByte.family(),
      this.#queue.family(),
      counter('daimyo_harakiris_total', 'Requests that passed their deadline.', this.#harakiris.samples('mount')),
      counter(
        'daimyo_rescues_total',
        'Requests whose worker died, by what became of them.',
        this.#rescues.samples('outcome'),
      ),
      counter(
        'daimyo_refused_requests_total',
        'Heads and bodies that were not believed, by reason.',
        this.#refusals.samples('reason'),
      ),
      counter(
        'daimyo_error_answers_total',
        'Responses that a proxy gave in its own name, by reason.',
        this.#errors.samples('reason'),
      ),
      counter(
        'daimyo_limits_total',
        'Times that a limit cut something off or held it back, by the option that sets it.',
        this.#limits.samples('limit'),
      ),
      counter(
        'daimyo_compressed_answers_total',
        'Responses compressed on their way, by coding; none: left as they were because `gzip-streams` were open.',
        this.#compressions.samples('coding'),
      ),
      counter('daimyo_quarantines_total', 'Times that a request was held back because workers died of it.', [
        { labels: {}, value: this.#quarantines },
      ]),
      counter('daimyo_connections_total', 'Client connections accepted.', [{ labels: {}, value: this.connections }]),
      counter('daimyo_access_log_lost_bytes_total', 'Bytes of the access log lost to a slow or full disk.', [
        { labels: {}, value: load.accessLogLostBytes },
      ]),
      gauge('daimyo_client_connections', 'Client connections open now.', load.connections),
      gauge('daimyo_queued_requests', 'Requests waiting for a worker now.', load.queued),
      ...this.tunnels.families(load.tunnels),
    ]
  }

  #limited(code: ErrorCode | RefusalCode): void {
    const name = limitBehind(code)
    if (name !== undefined) this.#limits.add(name)
  }
}

function counter(name: string, help: string, values: MetricSample[]): MetricFamily {
  return { name, help, type: 'counter', aggregator: 'sum', values }
}

function gauge(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'gauge', aggregator: 'sum', values: [{ labels: {}, value }] }
}
