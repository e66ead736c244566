/**
 * Ships the application's metrics to the master once a second: those whose values changed, as values since the process
 * started. Runs inside the worker, so it must never throw into the application, keep its process alive or load anything
 * for it. `metrics-registry.ts` says which metrics it sees. A metric that has vanished from a registry is sent once
 * more, without values.
 */

import { clearInterval, setInterval } from 'node:timers'
import { isReservedName, type MetricFamily, type MetricSample } from '../../../kit/channel/metric-family.js'
import { reasonOf } from '../../../kit/ground/failure.js'
import { findRegistries, type PromRegistry, RegistryReader, type RegistryReading } from './metrics-registry.js'

export interface MetricsShipper {
  /** Sends the changes so far; to be awaited before the worker exits. Never rejects, ends within a few seconds. */
  flush(): Promise<void>
  stop(): void
}

const INTERVAL_MS = 1000
const READ_MS = 1000
const TROUBLES = 100

/**
 * Starts shipping. `extra` adds families of the host itself. `trouble` hears each kind of failure once, such as a
 * `collect()` of the application that rejects. A `send` that throws is a closed channel: its metrics are sent again
 * next time.
 */
export function startMetricsShipper(
  appPath: string,
  send: (families: MetricFamily[]) => void,
  extra: () => MetricFamily[] = () => [],
  trouble: (reason: string) => void = () => {},
): MetricsShipper {
  const shipper = new Shipper(appPath, send, extra, once(trouble))
  const timer = setInterval(() => void shipper.ship(), INTERVAL_MS).unref()
  return { flush: () => shipper.flush(), stop: () => clearInterval(timer) }
}

class Shipper {
  readonly #registries: () => PromRegistry[]
  readonly #send: (families: MetricFamily[]) => void
  readonly #extra: () => MetricFamily[]
  readonly #trouble: (reason: string) => void
  readonly #readers = new Map<PromRegistry, RegistryReader>()
  /** The last sent values of each family, printed. */
  readonly #sent = new Map<string, string>()
  #running: Promise<void> | null = null

  constructor(
    appPath: string,
    send: (families: MetricFamily[]) => void,
    extra: () => MetricFamily[],
    trouble: (reason: string) => void,
  ) {
    this.#registries = findRegistries(appPath)
    this.#send = send
    this.#extra = extra
    this.#trouble = trouble
  }

  /** One round. If a round is under way, no second one joins it. */
  ship(): Promise<void> {
    this.#running ??= this.#round()
      .catch(error => this.#trouble(reasonOf(error)))
      .finally(() => {
        this.#running = null
      })
    return this.#running
  }

  /** A round that is under way may have read its values before the last request: another one follows it. */
  async flush(): Promise<void> {
    await this.#running
    await this.ship()
  }

  async #round(): Promise<void> {
    const readings = await Promise.all(this.#registries().map(registry => this.#readerOf(registry).read()))
    const changed = new Map<string, { family: MetricFamily; print: string }>()
    const current = new Set<string>()
    for (const family of this.#gather(readings)) {
      if (current.has(family.name)) continue
      current.add(family.name)
      const print = JSON.stringify(family.values)
      if (this.#sent.get(family.name) !== print) changed.set(family.name, { family, print })
    }
    const gone = this.#vanished(current, readings)
    if (changed.size + gone.length === 0) return
    this.#send([...Array.from(changed.values(), ({ family }) => family), ...gone])
    for (const [name, { print }] of changed) this.#sent.set(name, print)
    for (const { name } of gone) this.#sent.delete(name)
  }

  /** The host's own families first: of two with one name the first is sent. */
  #gather(readings: RegistryReading[]): MetricFamily[] {
    const families = [...this.#extra()]
    for (const family of readings.flatMap(reading => reading.families)) {
      if (isReservedName(family.name)) this.#trouble(`metric ${family.name} is not shipped: daimyo_ is reserved`)
      else families.push(plain(family))
    }
    return families
  }

  #vanished(current: Set<string>, readings: RegistryReading[]): MetricFamily[] {
    const names = [...this.#sent.keys()].filter(name => !current.has(name))
    return names.filter(name => !readings.some(reading => reading.unread.has(name))).map(emptyFamily)
  }

  #readerOf(registry: PromRegistry): RegistryReader {
    const reader = this.#readers.get(registry) ?? new RegistryReader(registry, READ_MS, this.#trouble)
    this.#readers.set(registry, reader)
    return reader
  }
}

/** Without exemplars and other parts that the master does not use. `aggregator` is younger than prom-client itself. */
function plain({ name, help, type, aggregator = 'sum', values }: MetricFamily): MetricFamily {
  return { name, help, type, aggregator, values: values.map(plainSample) }
}

function plainSample({ labels, value, metricName }: MetricSample): MetricSample {
  return metricName === undefined ? { labels, value } : { labels, value, metricName }
}

/** Says that a family is gone; its type does not matter any more. */
function emptyFamily(name: string): MetricFamily {
  return { name, help: '', type: 'gauge', aggregator: 'sum', values: [] }
}

/** Passes each reason on once, and a bounded number of them; errors of `report` are ignored. */
function once(report: (reason: string) => void): (reason: string) => void {
  const told = new Set<string>()
  return reason => {
    if (told.has(reason) || told.size >= TROUBLES) return
    told.add(reason)
    try {
      report(reason)
    } catch {
      // The channel is closed: the master is gone and nobody can hear it.
    }
  }
}
