/**
 * Finds and reads the application's own metrics: the default `register` of the copy of prom-client (or of its successor
 * `@prometheus-io/client`) that `require` from the application's folder gives. Runs inside the worker.
 *
 * Nothing is ever loaded that the application did not load: the copy is looked up in Node's module cache, which also
 * has an `import` of a CommonJS package. Not seen: registries that the application made itself (`new Registry()`),
 * copies that only a dependency of it uses, and a prom-client that was bundled into the application's file.
 */

import { createRequire } from 'node:module'
import { clearTimeout, setTimeout } from 'node:timers'
import type { MetricFamily } from '../../../kit/channel/metric-family.js'
import { reasonOf } from '../../../kit/ground/failure.js'

/**
 * The part of prom-client's registry that is used; `_defaultLabels` is private there and only read when a `collect()`
 * fails.
 */
export interface PromRegistry {
  getMetricsAsJSON(): unknown
  getMetricsAsArray?(): { name: string; get(): unknown }[]
  _defaultLabels?: Record<string, string>
}

/** `unread` names families of which nothing is known this time. */
export interface RegistryReading {
  families: MetricFamily[]
  unread: Set<string>
}

const PACKAGES = ['prom-client', '@prometheus-io/client']

/** Finds the registries that the application has loaded by now. It may load one later, so ask again. */
export function findRegistries(appPath: string): () => PromRegistry[] {
  const require = createRequire(appPath)
  const paths = PACKAGES.map(name => resolveOrNull(require, name)).filter(path => path !== null)
  return () => paths.map(path => readExports(require.cache[path]?.exports)).filter(found => found !== null)
}

/**
 * Reads one registry as `getMetricsAsJSON` does. After a `collect()` of the application rejected or took longer than
 * `deadlineMs`, it reads metric by metric, so that one bad metric costs only itself. A metric that is stuck is not
 * asked again before its answer came.
 */
export class RegistryReader {
  readonly #registry: PromRegistry
  readonly #deadlineMs: number
  readonly #trouble: (reason: string) => void
  readonly #stuck = new WeakSet<object>()
  #oneByOne = false

  constructor(registry: PromRegistry, deadlineMs: number, trouble: (reason: string) => void) {
    this.#registry = registry
    this.#deadlineMs = deadlineMs
    this.#trouble = trouble
  }

  /** Never rejects, ends within twice the deadline. */
  async read(): Promise<RegistryReading> {
    if (!this.#oneByOne) {
      try {
        const families = await inTime(this.#registry.getMetricsAsJSON(), this.#deadlineMs)
        return { families: families as MetricFamily[], unread: new Set() }
      } catch (error) {
        this.#trouble(reasonOf(error))
        this.#oneByOne = true
      }
    }
    return this.#readOneByOne()
  }

  async #readOneByOne(): Promise<RegistryReading> {
    const reading: RegistryReading = { families: [], unread: new Set() }
    const metrics = this.#registry.getMetricsAsArray?.() ?? []
    await Promise.all(
      metrics.map(async metric => {
        const family = await this.#readMetric(metric)
        if (family === null) reading.unread.add(metric.name)
        else reading.families.push(withLabels(family, this.#registry._defaultLabels ?? {}))
      }),
    )
    return reading
  }

  async #readMetric(metric: { name: string; get(): unknown }): Promise<MetricFamily | null> {
    if (this.#stuck.has(metric)) return null
    this.#stuck.add(metric)
    const answer = (async () => (await metric.get()) as MetricFamily)()
    const free = () => this.#stuck.delete(metric)
    answer.then(free, free)
    try {
      return await inTime(answer, this.#deadlineMs)
    } catch (error) {
      this.#trouble(`${metric.name}: ${reasonOf(error)}`)
      return null
    }
  }
}

function resolveOrNull(require: NodeJS.Require, name: string): string | null {
  try {
    return require.resolve(name)
  } catch {
    // MODULE_NOT_FOUND, or a package whose exports hide its entry: the application cannot load it either.
    return null
  }
}

function readExports(exports: unknown): PromRegistry | null {
  const register = (exports as { register?: Partial<PromRegistry> } | undefined)?.register
  return typeof register?.getMetricsAsJSON === 'function' ? (register as PromRegistry) : null
}

async function inTime<T>(answer: T | Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`collect() takes longer than ${deadlineMs} ms`)), deadlineMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A metric's own label wins, as in prom-client. */
function withLabels(family: MetricFamily, labels: Record<string, string>): MetricFamily {
  const values = family.values.map(sample => ({ ...sample, labels: { ...labels, ...sample.labels } }))
  return { ...family, values }
}
