/**
 * The filters between the response of an application and its client: none, as a rule. The request lifecycle asks for
 * them per exchange. The responder (`link.ts`, or a foreign upstream) writes HTTP/1.1 bytes to `exchange.out` and
 * reports the end to `RequestLifecycle.complete`; it does not know whether a body filter is there.
 *
 * The order on the way out: the file in the place of the response, then compression, then the client.
 */

import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { ProxySettings } from '../../kit/channel/messages.js'
import type { BodyFilter } from '../exchange/client.js'
import type { Exchange } from '../exchange/exchange.js'
import type { RequestMetrics } from '../observe/request-metrics.js'
import { Compressors } from '../process/compressor.js'
import { CompressionFilter } from './compression-filter.js'
import { FileFilter } from './file-filter.js'
import type { FilterEvents } from './filter-events.js'

/** What the body filters need from the rest of the proxy. */
export interface BodyFiltersWorld {
  settings: ProxySettings
  metrics: Pick<RequestMetrics, 'compressed'>
  event(name: ProxyEventName, fields: ToldFields): void
}

export class BodyFilters {
  readonly #world: BodyFiltersWorld
  readonly #events: FilterEvents
  /** Null: nothing is compressed. `apply` replaces it. */
  compressors: Compressors | null

  /** `outcome`: what follows for the exchange. */
  constructor(world: BodyFiltersWorld, outcome: Pick<FilterEvents, 'finished' | 'failed'>) {
    this.#world = world
    this.compressors = compressorsOf(world.settings)
    this.#events = {
      ...outcome,
      badResponse: (exchange, why) => this.badResponse(exchange, why),
      compressed: coding => world.metrics.compressed(coding),
      fileRefused: (exchange, file, why) => {
        world.event('named-file-refused', { request: exchange.title, slot: exchange.slot, file, why })
      },
    }
  }

  /** The settings have changed: responses that begin later follow them. */
  apply(): void {
    this.compressors = compressorsOf(this.#world.settings)
  }

  /** Before an exchange is handed to a responder, also when it is handed over again. */
  prepare(exchange: Exchange): void {
    if (exchange.bodyFilter !== null) this.#remove(exchange, exchange.bodyFilter)
    if (this.compressors !== null) this.#put(exchange, new CompressionFilter(exchange, this.compressors, this.#events))
  }

  /** Before the first byte of a response whose head has an X-Accel-Redirect or X-Sendfile. */
  fileNamed(exchange: Exchange): void {
    this.#put(exchange, new FileFilter(exchange, this.#world.settings, this.#events))
  }

  /** The bytes are no valid response: an event with `why`, and a 502 if no byte has gone to the client. */
  badResponse(exchange: Exchange, why: string): void {
    if (exchange.finished) return
    this.#world.event('bad-answer', { request: exchange.title, slot: exchange.slot, why })
    exchange.cancelAttempt()
    this.#events.failed(exchange, 'bad-answer')
  }

  /** The exchange is over: frees what its body filters hold. */
  destroy(exchange: Exchange, filter: BodyFilter): void {
    // A response of the proxy's own went past the filters.
    if (exchange.responseBegun) exchange.sentBytes = filter.sentBytes
    filter.destroy()
  }

  /** Drops the bytes of an upstream that is gone. */
  #remove(exchange: Exchange, filter: BodyFilter): void {
    filter.destroy()
    exchange.bodyFilter = null
    exchange.out = exchange.client
  }

  #put(exchange: Exchange, filter: BodyFilter): void {
    exchange.bodyFilter = filter
    exchange.out = filter
  }
}

function compressorsOf(settings: ProxySettings): Compressors | null {
  const compressors = new Compressors(settings)
  return compressors.offered.length === 0 ? null : compressors
}
