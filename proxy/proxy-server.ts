/** One proxy process, put together: listeners, connections, the request lifecycle, and messages of the master. */

import { createServer, type Server, type Socket } from 'node:net'
import type { MasterToProxy, ProxySettings } from '../kit/channel/messages.js'
import { reasonOf } from '../kit/ground/failure.js'
import { waitOn } from '../kit/ground/running-clock.js'
import { AcceptGate } from './client/accept-gate.js'
import { Connection } from './client/connection.js'
import { AddressCounts, type ConnectionLimits, clientAddress, connectionLimits } from './client/connection-limits.js'
import { reportBlocked } from './deaths/blocked-report.js'
import { AccessLog } from './observe/access-log.js'
import { inFlightRequests } from './observe/in-flight.js'
import { MetricsPage } from './observe/metrics-page.js'
import { RequestMetrics } from './observe/request-metrics.js'
import { monotonicMs, runningClock } from './process/clock.js'
import { descriptorLimit } from './process/descriptors.js'
import type { MasterLine } from './process/master-line.js'
import { RequestLifecycle } from './request-lifecycle.js'

type Configure = Extract<MasterToProxy, { type: 'configure' }>

const SWEEP_MS = 100
/** Deadlines of connections are coarse: a check every so many sweeps is enough. */
const SWEEPS_PER_CONNECTION_SWEEP = 5
const METRICS_MS = 1000
/** Bounds two waits at the end: for clients whose responses are cut, and for the master to read the last metrics. */
const LAST_WORDS_MS = 200
/** When the master is dead: how long requests in flight may take before the proxy ends. */
export const ORPHAN_MS = 1000

export class ProxyServer {
  readonly #line: MasterLine
  readonly #metrics = new RequestMetrics()
  readonly #page: MetricsPage
  readonly #lifecycle: RequestLifecycle
  readonly #servers: Server[] = []
  readonly #connections = new Set<Connection>()
  readonly #accessLog: AccessLog | null
  readonly #timers: NodeJS.Timeout[] = []
  readonly #limits: ConnectionLimits
  readonly #addresses = new AddressCounts()
  readonly #gate: AcceptGate
  #settings: ProxySettings
  #sweeps = 0
  #onIdle: (() => void) | null = null

  constructor(configure: Configure, line: MasterLine) {
    this.#line = line
    this.#settings = configure.settings
    this.#limits = connectionLimits(configure.settings)
    this.#page = new MetricsPage(requestId => line.tell({ type: 'metrics-wanted', requestId }))
    this.#page.auth = configure.settings.metricsAuth
    const { accessLog } = configure.settings
    this.#accessLog =
      accessLog === null ? null : new AccessLog(accessLog.path, why => line.event('access-log-trouble', { why }))
    if (this.#accessLog !== null) this.#accessLog.endsWithRequestId = configure.settings.logRequestId
    this.#lifecycle = new RequestLifecycle({
      settings: configure.settings,
      metrics: this.#metrics,
      accessLog: this.#accessLog,
      metricsPage: this.#page,
      linked: workerId => line.tell({ type: 'worker-linked', workerId }),
      linkBroken: (workerId, why) => line.tell({ type: 'link-broken', workerId, why }),
      starved: () => line.tell({ type: 'worker-wanted' }),
      left: (workerId, requests, tunnels) => this.#left(workerId, requests, tunnels),
      blocked: (link, request, elapsedMs, stack) => {
        const { workerId } = link.worker
        line.tell({ type: 'worker-blocked', workerId, ...reportBlocked(link, request, elapsedMs, stack) })
      },
      event: (name, fields) => line.event(name, fields),
    })
    this.#gate = new AcceptGate(configure.settings.httpConnections, {
      connections: this.#connections,
      now: monotonicMs,
      descriptorLimit,
      limited: name => this.#metrics.limited(name),
      event: (name, fields) => line.event(name, fields),
    })
  }

  /** Accepts on the inherited descriptors. Resolves when all servers listen. */
  async listen({ listeners }: Configure): Promise<void> {
    await Promise.all(listeners.map(({ fd, backlog }) => this.#listen(fd, backlog)))
    this.#timers.push(
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#shipUnlessBehind(), METRICS_MS),
    )
    runningClock.isWatched = true
  }

  take(message: Exclude<MasterToProxy, Configure>): void {
    const { workers } = this.#lifecycle
    switch (message.type) {
      case 'settings':
        return this.#apply(message.settings)
      case 'worker-ready':
        return workers.connect(message.worker)
      case 'worker-retire':
        return workers.retire(message.workerId, message.tunnelMs)
      case 'worker-gone':
        return workers.gone(message.workerId, message.end)
      case 'reopen-logs':
        return this.#accessLog?.reopen()
      case 'metrics':
        return this.#page.arrived(message.requestId, message.text)
      case 'in-flight-wanted': {
        const requests = inFlightRequests(workers.dispatcher.exchanges(), monotonicMs())
        return this.#line.tell({ type: 'in-flight', requestId: message.requestId, requests })
      }
      case 'pause':
        workers.dispatcher.isPaused = message.isPaused
        return
      case 'sync':
        return this.#line.tell({ type: 'synced', number: message.number })
      case 'drain':
        return
    }
  }

  /** Accepts nothing new. Resolves when every request has its response, or after `mercyMs`. */
  async drain(mercyMs: number): Promise<void> {
    this.#lifecycle.drain()
    for (const server of this.#servers) server.close()
    for (const connection of this.#connections) connection.drain()
    this.#lifecycle.workers.tunnels.closeAll(mercyMs)
    if (this.#connections.size > 0) await this.#idleWithin(mercyMs)
    await this.#cut()
    for (const timer of this.#timers) clearInterval(timer)
    runningClock.isWatched = false
    await this.#shipLast()
    await this.#accessLog?.close()
  }

  /**
   * Requests without a complete response: each is logged and counted before the process ends. Waiting requests are
   * refused first, or they would get the places of others.
   */
  async #cut(): Promise<void> {
    this.#lifecycle.workers.dispatcher.refuseAll('stopping')
    this.#lifecycle.workers.tunnels.destroyAll()
    const told = [...this.#connections].filter(connection => connection.cut())
    this.#lifecycle.upstreams.destroy()
    if (told.length > 0) await this.#idleWithin(LAST_WORDS_MS)
    for (const connection of this.#connections) connection.destroy()
    // `close` of the connections comes in a later turn of the loop, and with it the access lines of WebSockets.
    if (this.#connections.size > 0) await this.#idleWithin(LAST_WORDS_MS)
  }

  #shipLast(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, LAST_WORDS_MS)
      this.#ship(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /**
   * The pids of workers that still hold their links. At the end of an orphaned proxy it may have to kill workers that
   * do not see that the master died.
   */
  get workerPids(): number[] {
    return [...this.#lifecycle.workers.dispatcher.links].map(link => link.worker.pid)
  }

  get keepsChildren(): boolean {
    return this.#settings.keepChildren
  }

  #listen(fd: number, backlog: number): Promise<void> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => this.#accept(socket))
    this.#servers.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      // With `fd`, Node ignores `backlog` in the options.
      server.listen({ fd }, backlog, () => {
        server.removeListener('error', reject)
        this.#gate.add(server)
        server.on('error', error => this.#line.event('accept-trouble', { why: reasonOf(error) }))
        resolve()
      })
    })
  }

  #accept(socket: Socket): void {
    this.#metrics.connections += 1
    const connection = new Connection(socket, this.#lifecycle, this.#limits)
    this.#connections.add(connection)
    const isPassedOn = this.#settings.httpEnableProxyProtocol && this.#lifecycle.trusts(connection)
    const address = isPassedOn ? null : clientAddress(socket)
    socket.on('close', () => {
      this.#connections.delete(connection)
      if (address !== null) this.#addresses.leave(address)
      this.#gate.closed()
      if (this.#connections.size === 0) this.#onIdle?.()
    })
    this.#gate.accepted(socket)
    if (isPassedOn) connection.awaitProxyHeader(() => this.#named(connection, socket))
    else if (address !== null) this.#count(connection, address)
  }

  /** A PROXY header has named the client, to whom the limit of connections applies. */
  #named(connection: Connection, socket: Socket): void {
    const { address } = connection
    socket.on('close', () => this.#addresses.leave(address))
    this.#count(connection, address)
  }

  #count(connection: Connection, address: string): void {
    const { httpConnectionsPerAddress } = this.#settings
    const ofAddress = this.#addresses.enter(address)
    if (httpConnectionsPerAddress === 0 || ofAddress <= httpConnectionsPerAddress) return
    if (!this.#lifecycle.trusts(connection)) connection.turnAway()
  }

  #apply(settings: ProxySettings): void {
    this.#settings = settings
    Object.assign(this.#limits, connectionLimits(settings))
    this.#gate.mostConnections = settings.httpConnections
    this.#page.auth = settings.metricsAuth
    if (this.#accessLog !== null) this.#accessLog.endsWithRequestId = settings.logRequestId
    this.#lifecycle.apply(settings)
  }

  #idleWithin(mercyMs: number): Promise<void> {
    return new Promise(resolve => {
      const callOff = waitOn(monotonicMs, mercyMs, resolve)
      this.#onIdle = () => {
        callOff()
        resolve()
      }
    })
  }

  #sweep(): void {
    const nowMs = monotonicMs()
    this.#lifecycle.sweep(nowMs)
    this.#sweeps += 1
    if (this.#sweeps % SWEEPS_PER_CONNECTION_SWEEP !== 0) return
    for (const connection of this.#connections) connection.sweep(nowMs)
    this.#gate.sweep()
  }

  /** Skipping is harmless: the values count from the start, so those of the next second include these. */
  #shipUnlessBehind(): void {
    if (!this.#line.isBehind) this.#ship()
  }

  /** `sent`: the kernel has the message. */
  #ship(sent?: () => void): void {
    const families = this.#metrics.families({
      connections: this.#connections.size,
      queued: this.#lifecycle.workers.dispatcher.queued,
      tunnels: this.#lifecycle.workers.tunnels.count,
      accessLogLostBytes: this.#accessLog?.lostBytes ?? 0,
    })
    families.push(...this.#lifecycle.upstreams.families())
    const { dispatcher } = this.#lifecycle.workers
    this.#line.tell({ type: 'metrics', families, workers: dispatcher.loads(), queued: dispatcher.queued }, sent)
  }

  #left(workerId: number, requests: boolean, tunnels: boolean): void {
    if (requests || tunnels) this.#line.tell({ type: 'worker-draining', workerId, requests, tunnels })
    else this.#line.tell({ type: 'worker-drained', workerId })
  }
}
