/**
 * The life of a request, in reading order: received, routed, served from a file or dispatched to a responder, its
 * response, finished. Each proxy has one `RequestLifecycle`. Connections hand exchanges to it. Responders (the workers
 * of the application, foreign upstreams) take them and report what happens, by one contract: `exchange/responder.ts`.
 *
 * What must stay true: `#close` runs exactly once for each exchange, whatever happens, and only `#close` logs and
 * counts it. After that the client gets nothing more for it than a response of the proxy's own.
 */

import type { ProxySettings } from '../kit/channel/messages.js'
import { WINDOW_BYTES } from '../kit/link/frames.js'
import { Refusals } from './client/refusals.js'
import type { Client } from './exchange/client.js'
import { asking, Exchange } from './exchange/exchange.js'
import { addPiece } from './exchange/replayable-body.js'
import type { ResponderEvents } from './exchange/responder.js'
import { type ErrorCode, errorResponse, type OwnResponse, refusalResponse } from './http/error-response.js'
import type { Refusal } from './http/refusal.js'
import type { RequestHead } from './http/request-head.js'
import { routingPath } from './http/target-path.js'
import { monotonicMs, passedMs } from './process/clock.js'
import type { RequestLifecycleWorld } from './request-lifecycle-world.js'
import { addedFields, requestIdField } from './response/added-fields.js'
import { BodyFilters } from './response/body-filters.js'
import { ErrorPages } from './response/error-pages.js'
import { nextRequestId, viaField, wireHeaders } from './route/forwarded-fields.js'
import { Locations } from './route/locations.js'
import { type Route, RouteTable } from './route/route-table.js'
import { type TrustedProxies, trustedProxies } from './route/trusted-proxies.js'
import { StaticFiles } from './static/static-files.js'
import { Upstreams } from './upstream/upstreams.js'
import { WorkerResponder } from './worker-responder.js'

export class RequestLifecycle implements ResponderEvents {
  readonly workers: WorkerResponder
  readonly upstreams: Upstreams
  readonly refusals: Refusals
  readonly #world: RequestLifecycleWorld
  readonly #bodyFilters: BodyFilters
  #files: StaticFiles
  #routes: RouteTable
  #locations: Locations
  #pages: ErrorPages
  #trusted: TrustedProxies | null
  /** The proxy stops: connections end after their response. */
  draining = false

  constructor(world: RequestLifecycleWorld) {
    this.#world = world
    const { settings } = world
    this.#routes = new RouteTable(settings.routes)
    this.#locations = new Locations(settings)
    this.#trusted = trustedProxies(settings.trustedProxies)
    this.#pages = new ErrorPages(settings.errorPage)
    this.refusals = new Refusals(world, response => this.#pages.dress(response))
    this.#bodyFilters = new BodyFilters(world, {
      failed: (exchange, code, fields) => this.failed(exchange, code, fields),
      finished: (exchange, close) => this.#finish(exchange, close),
    })
    this.#files = new StaticFiles(settings, this.#bodyFilters.compressors, this)
    this.workers = new WorkerResponder(world, this)
    this.upstreams = new Upstreams(world, this.workers.tunnels, this)
  }

  /** The proxy stops. The dispatcher refuses a waiting request if no worker will come for it. */
  drain(): void {
    this.draining = true
    this.workers.dispatcher.drain()
  }

  /** Puts a new configuration in force. Requests that begin later follow it. */
  apply(settings: ProxySettings): void {
    this.#world.settings = settings
    this.#routes = new RouteTable(settings.routes)
    this.#locations = new Locations(settings)
    this.#trusted = trustedProxies(settings.trustedProxies)
    this.#pages = new ErrorPages(settings.errorPage)
    this.#bodyFilters.apply()
    this.#files.close()
    this.#files = new StaticFiles(settings, this.#bodyFilters.compressors, this)
    this.workers.apply(settings)
    this.upstreams.apply(settings)
  }

  sweep(nowMs: number): void {
    this.workers.sweep(nowMs)
    this.upstreams.sweep(nowMs)
  }

  // 1. Received: the head of the request is here. Its forwarding fields count only if a trusted proxy sent them.

  received(head: RequestHead, client: Client): Exchange {
    const believed = this.#trusted !== null && head.forwarding !== null ? this.#trusted.judge(head, client) : null
    return new Exchange(head, client, monotonicMs(), believed)
  }

  /** Whether the peer is a trusted proxy. Such a peer has no limit of connections, because it carries many clients. */
  trusts(client: Client): boolean {
    return this.#trusted?.trustsPeer(client) ?? false
  }

  // 2. Routed: dot segments and encodings of the path are resolved, then the longest matching prefix decides.

  begin(exchange: Exchange): void {
    const { target } = exchange.head
    // `OPTIONS *` speaks of the server as a whole; it has no path and goes to the application.
    const path = routingPath(target) ?? (target === '*' ? '/' : this.#routes.agreedPath(target))
    if (path === null) return this.failed(exchange, 'bad-path')
    asking(exchange).path = path
    const route = this.#routes.match(path)
    asking(exchange).route = route
    if (this.#isTooLarge(exchange, exchange.head.length)) this.failed(exchange, 'body-too-large')
    else if (route === null || route.kind === 'app') this.#application(exchange, route, exchange.startMs)
    else if (route.kind === 'static') this.#file(exchange, [route.folder], route)
    else if (route.kind === 'upstream') this.#toResponder(exchange, exchange.startMs)
    else this.#metrics(exchange)
  }

  // 3. Responded to by the proxy itself: a built-in endpoint, or a file. A path without a file goes to the application.

  #metrics(exchange: Exchange): void {
    this.#world.metricsPage.respond(exchange).then(response => {
      if (exchange.finished) response.slot?.leave()
      else this.#respond(exchange, response)
    })
  }

  #application(exchange: Exchange, route: Route | null, nowMs: number): void {
    const { checkStatic } = this.#world.settings
    const { method } = exchange.head
    if (checkStatic.length > 0 && (method === 'GET' || method === 'HEAD')) this.#file(exchange, checkStatic, route)
    else if (route === null) this.#fallback(exchange)
    else this.#toResponder(exchange, nowMs)
  }

  #file(exchange: Exchange, folders: string[], route: Route | null): void {
    this.#files.respond(exchange, folders, route, () => {
      const application = this.#routes.application(exchange.path)
      if (application === null) return this.#fallback(exchange)
      asking(exchange).route = application
      this.#toResponder(exchange, monotonicMs())
    })
  }

  /** There is no file and no application. */
  #fallback(exchange: Exchange): void {
    this.#files.respondWithFallback(exchange, this.#routes, () => this.failed(exchange, 'not-found'))
  }

  // 4. Dispatched to the workers or to foreign upstreams; with `post-buffering` the body is awaited first.

  #toResponder(exchange: Exchange, nowMs: number): void {
    const { head, client, origin, believed, route } = exchange
    if (this.workers.refusesHeldBack(exchange, nowMs)) return
    const asked = asking(exchange)
    asked.requestId = believed?.requestId ?? nextRequestId()
    asked.wireHeaders = wireHeaders(head, origin, believed, exchange.requestId)
    if (route?.kind === 'upstream') asked.wireHeaders += viaField(head)
    exchange.routed = true
    const { postBufferingBytes } = this.#world.settings
    if (exchange.bodyComplete || exchange.replayableBytes >= postBufferingBytes) this.#dispatch(exchange, nowMs)
    else {
      exchange.continueBody()
      client.resumeBody()
    }
  }

  #dispatch(exchange: Exchange, nowMs: number): void {
    exchange.dispatched = true
    if (exchange.route?.kind === 'upstream') this.upstreams.dispatch(exchange, nowMs)
    else this.workers.dispatch(exchange, nowMs)
  }

  /** At each attempt: an earlier one may have left its bytes in the filters. */
  sending(exchange: Exchange): void {
    if (exchange.bodyFilter !== null || this.#bodyFilters.compressors !== null) this.#bodyFilters.prepare(exchange)
    const { settings } = this.#world
    // The same question as in `added-fields.ts`, asked here to save a call.
    const hasNone = settings.sticky === null && !settings.requestIdAnswer
    exchange.addedFields = hasNone ? '' : addedFields(exchange, settings)
  }

  // 5. The body: kept until a responder has the exchange, and for as long as another attempt could need it.

  /** A piece of the body. False: read no more of it until `resumeBody`. */
  bodyData(exchange: Exchange, bytes: Buffer): boolean {
    if (exchange.finished && exchange.reader === null) return true
    this.#keep(exchange, bytes)
    if (this.#isTooLarge(exchange, exchange.replayableBytes)) {
      this.cut(exchange, 'body-too-large')
      return true
    }
    const reader = exchange.reader ?? exchange.attempt
    if (reader !== null) return reader.sendBody(exchange, bytes)
    const { postBufferingBytes } = this.#world.settings
    if (exchange.routed && !exchange.dispatched && exchange.replayableBytes >= postBufferingBytes) {
      this.#dispatch(exchange, monotonicMs())
      if (exchange.finished) return true
    }
    return this.#hasRoom(exchange)
  }

  #hasRoom(exchange: Exchange): boolean {
    if (exchange.attempt !== null) return exchange.attempt.hasRoom(exchange)
    const { postBufferingBytes } = this.#world.settings
    return exchange.replayableBytes < (exchange.dispatched ? WINDOW_BYTES : Math.max(WINDOW_BYTES, postBufferingBytes))
  }

  #isTooLarge({ path }: Exchange, bodyBytes: number): boolean {
    // A request without a body costs no look.
    return bodyBytes > 0 && bodyBytes > (this.#locations.at(path).limitPostBytes || Number.POSITIVE_INFINITY)
  }

  /**
   * When a worker has the request and the body is larger than the window, the proxy drops its copy. Then the request
   * cannot be sent again.
   */
  #keep(exchange: Exchange, bytes: Buffer): void {
    exchange.replayableBytes += bytes.length
    if (exchange.attempt !== null && exchange.replayableBytes > WINDOW_BYTES) exchange.replayable = null
    if (exchange.replayable !== null) addPiece(exchange.replayable, bytes)
  }

  bodyEnd(exchange: Exchange, trailers: string): void {
    exchange.bodyComplete = true
    exchange.bodyTrailers = trailers
    if (exchange.finished) return exchange.reader?.endBody(exchange)
    if (exchange.attempt !== null) {
      exchange.attempt.endBody(exchange)
      exchange.startClock(this.#world.settings, monotonicMs())
    } else if (exchange.routed && !exchange.dispatched) this.#dispatch(exchange, monotonicMs())
  }

  // 6. A response, or none. The clock of harakiri runs from the last byte of the request to the first of the response.

  fileNamed(exchange: Exchange): void {
    this.#bodyFilters.fileNamed(exchange)
  }

  complete(exchange: Exchange, close: boolean, nowMs = monotonicMs()): void {
    if (exchange.bodyFilter === null) this.#finish(exchange, close, nowMs)
    else exchange.bodyFilter.end(close)
  }

  readingStopped(exchange: Exchange): void {
    exchange.client.readingStopped()
  }

  badResponse(exchange: Exchange, why: string): void {
    this.#bodyFilters.badResponse(exchange, why)
  }

  expired(exchange: Exchange): void {
    this.#world.metrics.harakiri(exchange.mount)
    const elapsedMs = Math.round(passedMs(exchange.dispatchMs, monotonicMs()))
    this.#world.event('request-harakiri', { request: exchange.title, elapsedMs, slot: exchange.slot })
    this.#cancel(exchange, true)
    this.failed(exchange, 'deadline')
  }

  /** A response of the proxy's own. */
  failed(exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']): void {
    if (exchange.finished) return
    this.#world.metrics.error(code)
    if (exchange.responseBegun) return this.broken(exchange)
    this.#respond(exchange, errorResponse(code, fields))
  }

  #respond(exchange: Exchange, response: OwnResponse): void {
    if (this.#world.settings.requestIdAnswer) response.fields.push(...requestIdField(exchange))
    const dressed = this.#pages.dress(response)
    exchange.status = response.status
    exchange.sentBytes = exchange.head.method === 'HEAD' ? 0 : Buffer.byteLength(dressed.body)
    this.#close(exchange)
    exchange.client.respond(dressed)
  }

  // 7. Finished: one log line, one count.

  /** The client has the whole response. */
  #finish(exchange: Exchange, close: boolean, nowMs = monotonicMs()): void {
    if (exchange.finished) return
    this.#close(exchange, nowMs)
    exchange.client.completeResponse(close, nowMs)
  }

  /** The client has a part of the response and gets no more. The connection ends, so that the client sees this. */
  broken(exchange: Exchange): void {
    if (exchange.finished) return
    this.#close(exchange)
    exchange.client.breakResponse()
  }

  clientGone(exchange: Exchange): void {
    if (exchange.finished) return exchange.reader?.stopReading(exchange)
    if (!exchange.responseBegun) exchange.status = 499
    this.#close(exchange)
    this.#cancel(exchange)
  }

  #close(exchange: Exchange, nowMs = monotonicMs()): void {
    exchange.finished = true
    exchange.replayable = null
    if (exchange.bodyFilter !== null) this.#bodyFilters.destroy(exchange, exchange.bodyFilter)
    const mount = exchange.mount
    const { metrics, accessLog } = this.#world
    metrics.finished(mount, exchange.head.method, exchange.status, passedMs(exchange.startMs, nowMs) / 1000)
    if (exchange.firstByteMs > 0) metrics.firstByte(mount, passedMs(exchange.dispatchMs, exchange.firstByteMs) / 1000)
    accessLog?.write(exchange, nowMs)
  }

  /** The framing of the body is wrong. The attempt is cancelled, so that nobody takes the body for complete. */
  refusedBody(exchange: Exchange | null, client: Client, refusal: Refusal): void {
    this.#world.metrics.refused(refusal.refused)
    // The response is complete and may still be on its way to the client.
    if (exchange === null || exchange.finished) return client.completeResponse(true)
    this.#cancel(exchange)
    if (exchange.responseBegun) this.broken(exchange)
    else this.#respond(exchange, refusalResponse(refusal))
  }

  /**
   * The time of a stop is over. If the response has not begun, the client gets an error. Else the response breaks off.
   */
  cutByStop(exchange: Exchange): void {
    if (exchange.finished) return
    this.#cancel(exchange)
    this.failed(exchange, exchange.attempts > 0 ? 'cut-by-stop' : 'stopping')
  }

  /** The body passes a limit. The worker is sent an ABORT frame. */
  cut(exchange: Exchange, code: ErrorCode): void {
    this.#cancel(exchange)
    if (!exchange.finished) return this.failed(exchange, code)
    this.#world.metrics.error(code)
    exchange.client.completeResponse(true)
  }

  /** Ends all work for the exchange: waiting, attempt, reading of the body, file. */
  #cancel(exchange: Exchange, isLate = false): void {
    exchange.queue?.leave(exchange)
    exchange.cancelAttempt(isLate)
    exchange.reader?.stopReading(exchange)
    exchange.file?.cancel()
  }
}
