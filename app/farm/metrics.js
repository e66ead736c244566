/**
 * The sample application's own metrics, in plain prom-client and its default registry, as any application has them.
 * Called by `farm.js` and `live.js`. There is one such registry in each worker, so everything here must mean something when it
 * is added up over the workers: no process metrics (the server in front has those), the info metric is merged by `max`.
 */
import { Counter, Gauge, Histogram } from 'prom-client'

const openStreams = new Gauge({
  name: 'farm_open_streams',
  help: 'Event streams and WebSockets that are open now',
  labelNames: ['kind'],
  aggregator: 'sum',
})

const seconds = new Histogram({
  name: 'farm_request_duration_seconds',
  help: 'Time from a request to the end of its answer, by endpoint',
  labelNames: ['endpoint'],
  buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
})

const endpointUses = []

const requests = new Counter({
  name: 'farm_requests_total',
  help: 'Requests taken, by endpoint',
  labelNames: ['endpoint'],
  collect: () => {
    for (const use of endpointUses) use.flush()
  },
})

/**
 * Use of one endpoint. `count` only adds to a number, which goes to prom-client when somebody looks at it: a request to the
 * cheapest endpoint costs about 12 µs, to which a labelled `inc` would add 0.3 µs.
 */
export class EndpointUse {
  #labels
  #duration
  #counted = 0

  constructor(endpoint) {
    this.#labels = { endpoint }
    this.#duration = seconds.labels(endpoint)
    requests.inc(this.#labels, 0)
    endpointUses.push(this)
  }

  count() {
    this.#counted++
  }

  /** The answer that began at `startMs` on the clock of `performance.now()` is complete. */
  took(startMs) {
    this.#duration.observe((performance.now() - startMs) / 1000)
  }

  flush() {
    requests.inc(this.#labels, this.#counted)
    this.#counted = 0
  }
}

/** One more open stream of that kind (`events`, `ws`); call the result when it is closed. */
export function streamOpened(kind) {
  openStreams.inc({ kind })
  return () => openStreams.dec({ kind })
}

/** `farm_info{name,version} 1`: every worker has the same value, so the largest one is right. */
export function publishInfo(name, version) {
  new Gauge({
    name: 'farm_info',
    help: 'Name and version of the application',
    labelNames: ['name', 'version'],
    aggregator: 'max',
  }).set({ name, version }, 1)
}
