/**
 * The life of a request, in reading order: received, routed, served from a file or dispatched to a worker, rescued if
 * that worker dies, finished. Each proxy has one `RequestLifecycle`. Connections hand exchanges to it; links and the
 * dispatcher report what happens to an exchange.
 *
 * What must stay true: `#close` runs exactly once for each exchange, whatever happens, and only `#close` logs and
 * counts it. After that the client gets nothing more for it than a response of the proxy's own.
 */

import type { ProxySettings, WorkerEnd } from '../kit/channel/messages.js'
import { WINDOW_BYTES } from '../kit/link/frames.js'
import type { StackReport } from '../kit/link/stack-report.js'
import { Refusals } from './client/refusals.js'
import { HarakiriClock, type HarakiriEvents } from './deaths/harakiri.js'
import { type RescueEvents, Rescuer } from './deaths/rescuer.js'
import { type Client, Exchange, isTunnel } from './exchange/exchange.js'
import { harakiriMsOf } from './exchange/harakiri-deadline.js'
import { addPiece } from './exchange/replayable-body.js'
import { type ErrorCode, errorResponse, type OwnResponse, refusalResponse } from './http/error-response.js'
import type { Refusal } from './http/refusal.js'
import type { RequestHead } from './http/request-head.js'
import { routingPath } from './http/target-path.js'
import { Dispatcher, type DispatcherEvents } from './link/dispatcher.js'
import type { Link, LinkEvents } from './link/link.js'
import { monotonicMs, passedMs } from './process/clock.js'
import type { RequestLifecycleWorld } from './request-lifecycle-world.js'
import { addedFields, requestIdField } from './response/added-fields.js'
import { BodyFilters } from './response/body-filters.js'
import { ErrorPages } from './response/error-pages.js'
import { nextRequestId, wireHeaders } from './route/forwarded-fields.js'
import { type Route, RouteTable } from './route/route-table.js'
import { type TrustedProxies, trustedProxies } from './route/trusted-proxies.js'
import { type FileOutcome, serveFile, serveInside } from './static/exchange.js'
import { FALLBACK_VARY, fallbackPlaces } from './static/fallback.js'
import { prepareMediaTypes } from './static/media-types.js'
import { StaticSite } from './static/site.js'
import { type TunnelClient, Tunnels } from './tunnel/tunnels.js'
import { Upstreams } from './upstream/upstreams.js'

export class RequestLifecycle implements LinkEvents, DispatcherEvents, HarakiriEvents, RescueEvents {
  readonly dispatcher: Dispatcher
  readonly tunnels: Tunnels
  readonly upstreams: Upstreams
  readonly refusals: Refusals
  readonly #world: RequestLifecycleWorld
  readonly #harakiri: HarakiriClock
  readonly #bodyFilters: BodyFilters
  readonly #rescuer: Rescuer
  #routes: RouteTable
  #site: StaticSite
  #pages: ErrorPages
  #trusted: TrustedProxies | null
  /** The proxy stops: connections end after their response. */
  draining = false

  constructor(world: RequestLifecycleWorld) {
    this.#world = world
    this.#routes = new RouteTable(world.settings.routes)
    this.dispatcher = new Dispatcher(world.settings, this)
    this.#harakiri = new HarakiriClock(this)
    this.tunnels = new Tunnels(this.dispatcher, world.metrics.tunnels)
    const outcome = {
      failed: (exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']) =>
        this.#fail(exchange, code, fields),
      finished: (exchange: Exchange, close: boolean) => this.#finish(exchange, close),
      broken: (exchange: Exchange) => this.broken(exchange),
      expired: (exchange: Exchange) => this.expired(exchange),
    }
    this.#bodyFilters = new BodyFilters(world, outcome)
    this.#site = new StaticSite(world.settings, this.#bodyFilters.compressors)
    prepareMediaTypes(world.settings)
    this.upstreams = new Upstreams(world, this.tunnels, {
      ...outcome,
      assigned: exchange => this.#bodyFilters.prepare(exchange),
      fileNamed: exchange => this.#bodyFilters.fileNamed(exchange),
      responded: (exchange, close) => this.#end(exchange, close),
    })
    this.#pages = new ErrorPages(world.settings.errorPage)
    this.refusals = new Refusals(world, response => this.#pages.dress(response))
    this.#trusted = trustedProxies(world.settings.trustedProxies)
    this.#rescuer = new Rescuer(world, this)
  }

  /** The proxy stops. The dispatcher refuses a waiting request if no worker will come for it. */
  drain(): void {
    this.draining = true
    this.dispatcher.drain()
  }

  /** Puts a new configuration in force. Requests that begin later follow it. */
  apply(settings: ProxySettings): void {
    this.#world.settings = settings
    this.#routes = new RouteTable(settings.routes)
    this.#bodyFilters.apply()
    this.#site.close()
    this.#site = new StaticSite(settings, this.#bodyFilters.compressors)
    prepareMediaTypes(settings)
    this.#trusted = trustedProxies(settings.trustedProxies)
    this.#rescuer.rules = settings
    this.dispatcher.settings = settings
    this.upstreams.apply(settings)
    this.#pages = new ErrorPages(settings.errorPage)
  }

  // 1. Received: the head of the request is here. Its forwarding fields count only if a trusted proxy sent them.

  received(head: RequestHead, client: Client): Exchange {
    const exchange = new Exchange(head, client, monotonicMs())
    if (this.#trusted !== null && head.forwarding !== null) this.#trusted.judge(exchange)
    return exchange
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
    if (path === null) return this.#fail(exchange, 'bad-path')
    exchange.path = path
    const route = this.#routes.match(exchange.path)
    exchange.route = route
    if (this.#isTooLarge(exchange.head.length)) this.#fail(exchange, 'body-too-large')
    else if (route === null || route.kind === 'app') this.#application(exchange, route, exchange.startMs)
    else if (route.kind === 'static') this.#file(exchange, [route.folder], route)
    else if (route.kind === 'upstream') this.#toWorker(exchange, exchange.startMs)
    else this.#metrics(exchange)
  }

  // 3a. A built-in endpoint.

  #metrics(exchange: Exchange): void {
    this.#world.metricsPage.respond(exchange).then(response => {
      if (exchange.finished) response.slot?.leave()
      else this.#respond(exchange, response)
    })
  }

  // 3b. A file. If there is no file, the request goes to the application of this path.

  #file(exchange: Exchange, folders: string[], route: Route | null): void {
    this.#filed(exchange, serveFile(this.#site, exchange, folders, route), () => this.#noFile(exchange))
  }

  /** An outcome: the file was in memory and has been sent. A promise: the disk is being read. */
  #filed(exchange: Exchange, outcome: FileOutcome | Promise<FileOutcome>, none: () => void): void {
    if (outcome instanceof Promise) void outcome.then(later => this.#filed(exchange, later, none))
    else if (exchange.finished) return
    else if (outcome.kind === 'sent') this.#finish(exchange, outcome.close)
    else if (outcome.kind === 'broken') this.broken(exchange)
    else if (outcome.kind === 'error') this.#fail(exchange, outcome.code, outcome.fields)
    else none()
  }

  #noFile(exchange: Exchange): void {
    const application = this.#routes.application(exchange.path)
    if (application === null) return this.#fallback(exchange)
    exchange.route = application
    this.#toWorker(exchange, monotonicMs())
  }

  /** There is no file and no application. `static-fallback` may name a page for browsers. */
  #fallback(exchange: Exchange): void {
    const places = fallbackPlaces(this.#world.settings, this.#routes, exchange.path, exchange.head)
    const outcome = serveInside(this.#site, exchange, places, FALLBACK_VARY)
    this.#filed(exchange, outcome, () => this.#fail(exchange, 'not-found'))
  }

  #application(exchange: Exchange, route: Route | null, nowMs: number): void {
    const { checkStatic } = this.#world.settings
    const { method } = exchange.head
    if (checkStatic.length > 0 && (method === 'GET' || method === 'HEAD')) this.#file(exchange, checkStatic, route)
    else if (route === null) this.#fallback(exchange)
    else this.#toWorker(exchange, nowMs)
  }

  // 4. Dispatched to the worker with the fewest requests. The request waits if no worker is free; with `post-buffering`
  //    it waits for its body first.

  #toWorker(exchange: Exchange, nowMs: number): void {
    const { head, client, origin, believed } = exchange
    if (this.#isHeldBack(exchange, nowMs)) return
    exchange.requestId = believed?.requestId ?? nextRequestId()
    exchange.wireHeaders = wireHeaders(head, origin, believed, exchange.requestId)
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
    if (exchange.route?.kind === 'upstream') {
      exchange.addedFields = this.#addedFields(exchange, null)
      return this.upstreams.dispatch(exchange, nowMs)
    }
    const link = this.dispatcher.dispatch(exchange, nowMs)
    if (link !== null) this.assigned(exchange, link, nowMs)
  }

  /**
   * The field lines that the proxy adds to the response, as a rule none. The same question as in `added-fields.ts`,
   * asked here to save a call.
   */
  #addedFields(exchange: Exchange, slot: number | null): string {
    const { settings } = this.#world
    return settings.sticky === null && !settings.requestIdAnswer ? '' : addedFields(exchange, slot, settings)
  }

  /** A piece of the body. False: read no more of it until `resumeBody`. */
  bodyData(exchange: Exchange, bytes: Buffer): boolean {
    if (exchange.finished && exchange.reader === null) return true
    this.#keep(exchange, bytes)
    if (this.#isTooLarge(exchange.replayableBytes)) {
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

  #isTooLarge(bodyBytes: number): boolean {
    return bodyBytes > (this.#world.settings.limitPostBytes || Number.POSITIVE_INFINITY)
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
      this.#startClock(exchange, monotonicMs())
    } else if (exchange.routed && !exchange.dispatched) this.#dispatch(exchange, monotonicMs())
  }

  assigned(exchange: Exchange, link: Link, nowMs: number): void {
    if (this.#isHeldBack(exchange, nowMs)) return
    if (exchange.queuedMs > 0) this.#world.metrics.queued(exchange.mount, (nowMs - exchange.queuedMs) / 1000)
    exchange.queuedMs = 0
    exchange.dispatchMs = nowMs
    if (isTunnel(exchange)) return this.#tunnel(exchange, link, nowMs)
    if (exchange.bodyFilter !== null || this.#bodyFilters.compressors !== null) this.#bodyFilters.prepare(exchange)
    exchange.addedFields = this.#addedFields(exchange, link.worker.slot)
    link.send(exchange, exchange.client.closing)
    if (exchange.bodyComplete) this.#startClock(exchange, nowMs)
    else if (exchange.bodyWindow > 0) exchange.client.resumeBody()
  }

  refused(exchange: Exchange, code: ErrorCode): void {
    this.#fail(exchange, code)
  }

  left(workerId: number, requests: boolean, tunnels: boolean): void {
    this.#world.left(workerId, requests, tunnels)
  }

  starved(): void {
    this.#world.starved()
  }

  // 5. At the worker: the clock of harakiri runs from the last byte of the request to the first byte of the response.

  #startClock(exchange: Exchange, nowMs: number): void {
    const { settings } = this.#world
    const isPlain = exchange.ownHarakiriMs === null && settings.mountHarakiri.length === 0
    exchange.startClock(isPlain ? settings.harakiriMs : harakiriMsOf(exchange, settings), nowMs)
  }

  linked(link: Link): void {
    this.dispatcher.linked(link)
    this.#world.linked(link.worker.workerId)
  }

  freed(link: Link): void {
    this.dispatcher.freed(link)
  }

  sweep(nowMs: number): void {
    this.dispatcher.sweep(nowMs)
    this.#rescuer.sweep(nowMs)
    this.#harakiri.sweep(this.dispatcher.links, this.#world.settings, this.dispatcher.queued, nowMs)
    for (const exchange of this.tunnels.sweep(nowMs, this.#world.settings.wsIdleTimeoutMs)) this.expired(exchange)
    for (const exchange of this.upstreams.late(nowMs)) this.expired(exchange)
    this.upstreams.sweep(nowMs)
  }

  expired(exchange: Exchange): void {
    this.#world.metrics.harakiri(exchange.mount)
    const elapsedMs = Math.round(passedMs(exchange.dispatchMs, monotonicMs()))
    this.#world.event('request-harakiri', { request: exchange.title, elapsedMs, slot: exchange.slot })
    this.#cancel(exchange, true)
    this.#fail(exchange, 'deadline')
  }

  blocked(link: Link, guilty: string, elapsedMs: number, isKnown: boolean, stack: StackReport): void {
    link.condemned = true
    link.open = false
    if (isKnown) this.#rescuer.blocked(link.worker.workerId, guilty, monotonicMs())
    this.#world.blocked(link, guilty, elapsedMs, stack)
  }

  responded(exchange: Exchange, close: boolean, nowMs: number, link: Link): void {
    this.#clear(exchange, nowMs)
    this.#end(exchange, close, nowMs)
    this.dispatcher.freed(link)
  }

  #end(exchange: Exchange, close: boolean, nowMs = monotonicMs()): void {
    if (exchange.bodyFilter === null) this.#finish(exchange, close, nowMs)
    else exchange.bodyFilter.end(close)
  }

  /** The application reads no more of the body. */
  readingStopped(exchange: Exchange): void {
    exchange.client.readingStopped()
  }

  aborted(exchange: Exchange): void {
    if (exchange.responseBegun) this.broken(exchange)
    else this.#fail(exchange, 'worker-aborted')
  }

  badResponse(exchange: Exchange, why: string): void {
    this.#bodyFilters.badResponse(exchange, why)
  }

  fileNamed(exchange: Exchange): void {
    this.#bodyFilters.fileNamed(exchange)
  }

  // 6. Rescued: the worker of the request died. What happens now depends on whether the application has seen the
  //    request.

  /** Is called before `lost`. A worker that broke the protocol of its link counts as crashed. */
  broke(link: Link, why: string): void {
    this.#world.linkBroken(link.worker.workerId, why)
  }

  lost(link: Link, exchanges: Exchange[]): void {
    this.#harakiri.forget(link)
    this.dispatcher.lost(link)
    this.#rescuer.lost(link, exchanges, monotonicMs())
  }

  /** The master saw the process end. */
  gone(workerId: number, end: WorkerEnd): void {
    this.dispatcher.gone(workerId, end)
    this.tunnels.gone(workerId, monotonicMs())
    this.#rescuer.gone(workerId, end, monotonicMs())
  }

  again(exchange: Exchange): void {
    const nowMs = monotonicMs()
    const link = this.dispatcher.dispatchFirst(exchange, nowMs)
    if (link !== null) this.assigned(exchange, link, nowMs)
  }

  givenUp(exchange: Exchange): void {
    this.#fail(exchange, 'worker-died')
  }

  /** A worker has responded to this request. So the request does not kill workers. */
  #clear(exchange: Exchange, nowMs: number): void {
    const { quarantine } = this.#rescuer
    if (!quarantine.isIdle) quarantine.responded(exchange.title, nowMs)
  }

  /** Whether the request is in quarantine. If so, it has been refused with 503. */
  #isHeldBack(exchange: Exchange, nowMs: number): boolean {
    const { quarantine } = this.#rescuer
    if (quarantine.isIdle) return false
    const seconds = quarantine.holdSeconds(exchange.title, nowMs)
    if (seconds > 0) this.#fail(exchange, 'quarantined', [['Retry-After', String(seconds)]])
    return seconds > 0
  }

  // 7. Tunnels: a WebSocket handshake goes to the worker's own socket.

  #tunnel(exchange: Exchange, link: Link, nowMs: number): void {
    exchange.slot = link.worker.slot
    exchange.attempts += 1
    this.#startClock(exchange, nowMs)
    this.tunnels.open(exchange, exchange.client as TunnelClient, link, {
      begun: () => this.#clear(exchange, monotonicMs()),
      failed: code => this.#fail(exchange, code),
      ended: close => this.#finish(exchange, close),
      broken: () => this.broken(exchange),
    })
  }

  // 8. Finished: one log line, one count, one free place at the worker.

  /** A response of the proxy's own. */
  #fail(exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']): void {
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
    this.#fail(exchange, exchange.attempts > 0 ? 'cut-by-stop' : 'stopping')
  }

  /** The body passes a limit. The worker is sent an ABORT frame. */
  cut(exchange: Exchange, code: ErrorCode): void {
    this.#cancel(exchange)
    if (!exchange.finished) return this.#fail(exchange, code)
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
