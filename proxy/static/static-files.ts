/** Responds with files: those below a mount, those of `check-static`, and the page of `static-fallback`. */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import type { ResponderEvents } from '../exchange/responder.js'
import type { Compressors } from '../process/compressor.js'
import type { Route, RouteTable } from '../route/route-table.js'
import { type FileOutcome, serveFile, serveInside } from './exchange.js'
import { FALLBACK_VARY, fallbackPlaces } from './fallback.js'
import { prepareMediaTypes } from './media-types.js'
import { StaticSite } from './site.js'

export class StaticFiles {
  readonly #events: Pick<ResponderEvents, 'complete' | 'failed' | 'broken'>
  readonly #settings: ProxySettings
  readonly #site: StaticSite

  constructor(
    settings: ProxySettings,
    compressors: Compressors | null,
    events: Pick<ResponderEvents, 'complete' | 'failed' | 'broken'>,
  ) {
    this.#settings = settings
    this.#events = events
    this.#site = new StaticSite(settings, compressors)
    prepareMediaTypes(settings)
  }

  /** The file of the path, if one of the folders has it; else `none` is called. `route` null: no mount before it. */
  respond(exchange: Exchange, folders: readonly string[], route: Route | null, none: () => void): void {
    this.#settle(exchange, serveFile(this.#site, exchange, folders, route), none)
  }

  /** Nobody has the path: the page of `static-fallback` for browsers, or `none`. */
  respondWithFallback(exchange: Exchange, routes: RouteTable, none: () => void): void {
    const places = fallbackPlaces(this.#settings, routes, exchange.path, exchange.head)
    this.#settle(exchange, serveInside(this.#site, exchange, places, FALLBACK_VARY), none)
  }

  /** An outcome: the file was in memory and has been sent. A promise: the disk is being read. */
  #settle(exchange: Exchange, outcome: FileOutcome | Promise<FileOutcome>, none: () => void): void {
    if (outcome instanceof Promise) void outcome.then(later => this.#settle(exchange, later, none))
    else if (exchange.finished) return
    else if (outcome.kind === 'sent') this.#events.complete(exchange, outcome.close)
    else if (outcome.kind === 'broken') this.#events.broken(exchange)
    else if (outcome.kind === 'error') this.#events.failed(exchange, outcome.code, outcome.fields)
    else none()
  }

  close(): void {
    this.#site.close()
  }
}
