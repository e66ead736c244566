/**
 * What stands between an application's response and its client: nothing, as a rule. Made by `request-lifecycle.ts`,
 * which asks it for each exchange; whoever brings a response (`link.ts`, or another upstream) writes its HTTP/1.1 bytes
 * to `exchange.out` and says its end to `RequestLifecycle.responded`, and does not know whether a body filter is there.
 *
 * The order on the way out: the file in the place of the response, then compression, then the client.
 */

import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { ProxySettings } from '../../kit/channel/messages.js'
import type { BodyFilter, Exchange } from '../exchange/exchange.js'
import type { RequestMetrics } from '../observe/request-metrics.js'
import { Compressors } from '../process/compressor.js'
import { CompressionFilter } from './compression-filter.js'
import { FileFilter } from './file-filter.js'
import type { FilterEvents } from './filter-events.js'

/** What the body filters need of the rest of the proxy. */
export interface BodyFiltersWorld {
  settings: ProxySettings
  metrics: Pick<RequestMetrics, 'compressed'>
  event(name: ProxyEventName, fields: ToldFields): void
}

export class BodyFilters {
  readonly #world: BodyFiltersWorld
  readonly #events: FilterEvents
  /** Null: nothing is compressed. Another one after `apply`. */
  compressors: Compressors | null

  /** `outcome`: what follows for the exchange, `request-lifecycle.ts`. */
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

  /** The settings of the world have changed: answers that begin from now on follow them. */
  apply(): void {
    this.compressors = compressorsOf(this.#world.settings)
  }

  /** Before an exchange is handed to whoever answers it, also when it is handed over again. */
  prepare(exchange: Exchange): void {
    if (exchange.bodyFilter !== null) this.#remove(exchange, exchange.bodyFilter)
    if (this.compressors !== null) this.#put(exchange, new CompressionFilter(exchange, this.compressors, this.#events))
  }

  /** Before the first byte of a response whose head has an X-Accel-Redirect or X-Sendfile. */
  fileNamed(exchange: Exchange): void {
    this.#put(exchange, new FileFilter(exchange, this.#world.settings, this.#events))
  }

  /** What came is no response, and `why`: an event, and 502 where that can still be said. */
  badResponse(exchange: Exchange, why: string): void {
    if (exchange.finished) return
    this.#world.event('bad-answer', { request: exchange.title, slot: exchange.slot, why })
    exchange.cancelAttempt()
    this.#events.failed(exchange, 'bad-answer')
  }

  /** The exchange is over: lets go of what its body filters hold. */
  close(exchange: Exchange, filter: BodyFilter): void {
    // A response in the proxy's own name went past them.
    if (exchange.responseBegun) exchange.sentBytes = filter.sentBytes
    filter.destroy()
  }

  /** What an upstream that is gone had said so far. */
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
