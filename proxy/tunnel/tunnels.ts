/**
 * The open WebSocket tunnels: how each one begins, and when each is closed. One per proxy. Responders open them,
 * `proxy-server.ts` ends them when a worker is replaced or the proxy stops.
 */

import { connect, type Socket } from 'node:net'
import { printPreamble } from '../../kit/link/tunnel-preamble.js'
import type { UpstreamAddress } from '../../kit/options/values/value-types.js'
import type { Attempt } from '../exchange/attempt.js'
import type { Client } from '../exchange/client.js'
import type { Exchange } from '../exchange/exchange.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { passInterim } from '../exchange/interim-response.js'
import type { ResponderEvents } from '../exchange/responder.js'
import type { ErrorCode } from '../http/error-response.js'
import type { Dispatcher } from '../link/dispatcher.js'
import type { Link } from '../link/link.js'
import type { TunnelMetrics } from '../observe/tunnel-metrics.js'
import { monotonicMs } from '../process/clock.js'
import { isOutOfDescriptors } from '../process/descriptors.js'
import { AbandonedSockets } from './abandoned-sockets.js'
import { CLOSE_CODE } from './frame-boundary.js'
import { openTunnel, type TunnelTarget } from './tunnel.js'
import { Tunnel, type TunnelSides } from './tunnel-flow.js'
import { isFramed, passRefusal } from './tunnel-refusal.js'

/** A client whose bare connection can be taken: HTTP/1.1. */
export interface TunnelClient extends Client {
  takeSocket(onBytes: (bytes: Buffer) => void): { socket: Socket; early: Buffer }
}

/**
 * Events of a handshake and of the tunnel behind it. Exactly one of `failed`, `complete` and `broken`, unless it was
 * cancelled.
 */
export interface TunnelEvents extends Pick<ResponderEvents, 'failed' | 'complete' | 'broken'> {
  /** The other side has responded, with 101 or another status. */
  begun(exchange: Exchange, nowMs: number): void
}

/** The same for handshakes with foreign upstreams. */
export interface ForeignTunnelEvents extends TunnelEvents {
  /**
   * Nothing is under way there any more. Called once, before the end is reported or when the handshake is cancelled.
   */
  freed(exchange: Exchange): void
  /** As `Attempt.cancel`. */
  cancelled(exchange: Exchange, isLate: boolean): void
}

/** The destination of a handshake: a worker, or another server. */
interface Place {
  target: TunnelTarget
  workerId: number
  /** It is known to be gone. */
  isGone?(): boolean
  responded?(): void
  /**
   * It hung up before a response, `isSilent`: without a byte of one. The place that knows why calls `fail`, or takes
   * the exchange elsewhere.
   */
  hungUp(isSilent: boolean, fail: (code: ErrorCode) => void): void
  /** As in `ForeignTunnelEvents`. */
  freed(): void
  cancelled?(isLate: boolean): void
  /** Hands the exchange to another worker, because this one could not be reached. */
  goElsewhere?(): void
}

/** Why tunnels are closed, and the time over which their ends are spread. */
interface Closing {
  reason: 'restart' | 'stop'
  fromMs: number
  untilMs: number
}

/** Tries at workers that cannot be reached; none of them has seen the request. */
const MOST_ATTEMPTS = 4
/**
 * The last part of the tunnels' time, over which their ends are spread: otherwise all clients would come back at once.
 */
const SPREAD_SHARE = 0.2
/** When the proxy stops, the spread takes no longer than this per tunnel. */
const SPREAD_MS_PER_TUNNEL = 1
const IDLE_SWEEP_MS = 1000
/** For tunnels of a foreign upstream; ids of workers begin at 1. */
const NO_WORKER = 0

/** A handshake under way, and the response to a refused one. It has no body (`isTunnel`). */
class Handshake implements Attempt<Exchange> {
  readonly #cancel: (isLate: boolean) => void

  constructor(cancel: (isLate: boolean) => void) {
    this.#cancel = cancel
  }

  sendBody(): boolean {
    return true
  }

  endBody(): void {}

  hasRoom(): boolean {
    return true
  }

  cancel(_: Exchange, isLate: boolean): void {
    this.#cancel(isLate)
  }
}

export class Tunnels {
  readonly #dispatcher: Dispatcher
  readonly #metrics: TunnelMetrics
  /** Each with the id of its worker. */
  readonly #tunnels = new Map<Tunnel, number>()
  /** The exchanges without a response. */
  readonly #handshakes = new Set<Exchange>()
  /** Connections to workers that have responded to a handshake, each with the id of its worker. */
  readonly #upstreams = new Map<Socket, number>()
  readonly #abandoned = new AbandonedSockets()
  /** Workers that are replaced. */
  readonly #closingWorkers = new Map<number, Closing>()
  #closingAll: Closing | null = null
  #hasDeadlines = false
  #idleSweptMs = 0

  constructor(dispatcher: Dispatcher, metrics: TunnelMetrics) {
    this.#dispatcher = dispatcher
    this.#metrics = metrics
  }

  get count(): number {
    return this.#tunnels.size
  }

  /** To a worker. If the worker dies, `Link.lose` cancels the handshake and reports the exchange as lost. */
  open(exchange: Exchange, client: TunnelClient, link: Link, events: TunnelEvents): void {
    link.tunnels += 1
    link.handshakes.begin(exchange)
    const place: Place = {
      target: targetOf(link, exchange),
      workerId: link.worker.workerId,
      isGone: () => link.end !== null,
      responded: () => link.handshakes.end(exchange),
      hungUp: (isSilent, fail) => link.hungUp(exchange, () => fail(isSilent ? 'worker-aborted' : 'bad-answer')),
      freed: () => {
        link.handshakes.end(exchange)
        link.tunnels -= 1
        this.#dispatcher.freed(link)
      },
      goElsewhere: () => this.#dispatcher.dispatchElsewhere(exchange, link, monotonicMs()),
    }
    this.#open(place, exchange, client, events)
  }

  /** To any HTTP server. */
  openTo(address: UpstreamAddress, exchange: Exchange, client: TunnelClient, events: ForeignTunnelEvents): void {
    const place: Place = {
      target: { connect: () => connect(address), preamble: '' },
      workerId: NO_WORKER,
      hungUp: (isSilent, fail) => fail(isSilent ? 'upstream-lost' : 'bad-answer'),
      freed: () => events.freed(exchange),
      cancelled: isLate => events.cancelled(exchange, isLate),
    }
    this.#open(place, exchange, client, events)
  }

  #open(place: Place, exchange: Exchange, client: TunnelClient, events: TunnelEvents): void {
    this.#handshakes.add(exchange)
    let responding: Socket | null = null
    const release = once(() => {
      exchange.attempt = null
      this.#handshakes.delete(exchange)
      if (responding !== null) this.#upstreams.delete(responding)
      place.freed()
    })
    const begun = (upstream: Socket, status: number) => {
      responding = upstream
      this.#upstreams.set(upstream, place.workerId)
      if (place.isGone?.()) this.#abandoned.add(upstream, monotonicMs())
      place.responded?.()
      const nowMs = monotonicMs()
      events.begun(exchange, nowMs)
      this.#handshakes.delete(exchange)
      exchange.beginResponse(status, nowMs)
    }
    const fail = (code: ErrorCode) => {
      release()
      const { goElsewhere } = place
      if (code !== 'no-tunnel' || goElsewhere === undefined || exchange.attempts >= MOST_ATTEMPTS)
        return events.failed(exchange, code)
      exchange.deadlineMs = 0
      goElsewhere()
    }
    const giveUp = openTunnel(exchange, place.target, {
      unreachable: why => fail(isOutOfDescriptors(why) ? 'no-files' : 'no-tunnel'),
      badResponse: () => fail('bad-answer'),
      hungUp: isSilent => place.hungUp(isSilent, fail),
      interim: head => passInterim(exchange, head),
      switched: (upstream, head, rest) => {
        begun(upstream, 101)
        let tunnel: Tunnel | null = null
        const { socket, early } = this.#take(exchange, client, bytes => tunnel?.fromClient(bytes))
        const sides = { client: socket, early, upstream, head, rest }
        tunnel = this.#join(sides, place.workerId, () => {
          release()
          events.complete(exchange, true)
        })
      },
      refused: (upstream, head, rest, status) => {
        if (!isFramed(head)) {
          upstream.destroy()
          return fail('bad-answer')
        }
        begun(upstream, status)
        passRefusal(exchange, { status, head, rest, upstream }, ending => {
          release()
          if (ending === 'broken') events.broken(exchange)
          else events.complete(exchange, ending === 'last')
        })
      },
    })
    exchange.attempt = new Handshake(isLate => {
      giveUp()
      release()
      place.cancelled?.(isLate)
    })
  }

  /** A worker is replaced: its tunnels may stay this long. A later call may shorten the time. */
  retire(workerId: number, mercyMs: number): void {
    const nowMs = monotonicMs()
    const closing: Closing = {
      reason: 'restart',
      fromMs: nowMs + mercyMs * (1 - SPREAD_SHARE),
      untilMs: nowMs + mercyMs,
    }
    this.#closingWorkers.set(workerId, closing)
    this.#schedule(
      [...this.#tunnels].flatMap(([tunnel, id]) => (id === workerId ? [tunnel] : [])),
      closing,
    )
  }

  /** The worker is gone: its tunnels end behind its last bytes, whatever other process keeps them open. */
  gone(workerId: number, nowMs: number): void {
    this.#closingWorkers.delete(workerId)
    for (const [upstream, id] of this.#upstreams) if (id === workerId) this.#abandoned.add(upstream, nowMs)
  }

  /** The proxy stops within `mercyMs`. */
  closeAll(mercyMs: number): void {
    const nowMs = monotonicMs()
    const untilMs = nowMs + Math.min(mercyMs * SPREAD_SHARE, this.#tunnels.size * SPREAD_MS_PER_TUNNEL)
    this.#closingAll = { reason: 'stop', fromMs: nowMs, untilMs }
    this.#schedule([...this.#tunnels.keys()], this.#closingAll)
    this.#closeDue(nowMs)
  }

  destroyAll(): void {
    for (const tunnel of this.#tunnels.keys()) tunnel.destroy()
  }

  /**
   * Closes due tunnels, and tunnels that were idle for `idleMs` (0: never). The caller gets the handshakes past their
   * deadline.
   */
  sweep(nowMs: number, idleMs: number): Exchange[] {
    if (this.#hasDeadlines) this.#closeDue(nowMs)
    this.#abandoned.sweep(nowMs)
    if (idleMs > 0 && nowMs - this.#idleSweptMs >= IDLE_SWEEP_MS) {
      this.#idleSweptMs = nowMs
      for (const tunnel of this.#tunnels.keys()) {
        if (tunnel.isIdle(nowMs, idleMs)) tunnel.close('idle', CLOSE_CODE.goingAway, 'idle')
      }
    }
    if (this.#handshakes.size === 0) return []
    return [...this.#handshakes].filter(exchange => exchange.deadlineMs !== 0 && exchange.deadlineMs <= nowMs)
  }

  #take(exchange: Exchange, client: TunnelClient, onBytes: (bytes: Buffer) => void): { socket: Socket; early: Buffer } {
    const taken = client.takeSocket(onBytes)
    const { socket } = taken
    const earlierBytes = socket.bytesWritten
    // Before the connection's own listener, which ends the exchange and with it writes its line in the log.
    socket.prependListener('close', () => {
      exchange.sentBytes = socket.bytesWritten - earlierBytes
    })
    // From now on the ends of its sides end the tunnel, and it lasts: everything that only the handshake needed is
    // freed.
    exchange.attempt = null
    exchange.forgetFields()
    return taken
  }

  #join(sides: TunnelSides, workerId: number, onClose: () => void): Tunnel {
    const nowMs = monotonicMs()
    const tunnel = new Tunnel(sides, nowMs, this.#metrics, onClose)
    this.#tunnels.set(tunnel, workerId)
    sides.client.once('close', () => this.#tunnels.delete(tunnel))
    const closing = this.#closingAll ?? this.#closingWorkers.get(workerId)
    if (closing !== undefined) this.#schedule([tunnel], { ...closing, fromMs: Math.max(nowMs, closing.fromMs) })
    return tunnel
  }

  #schedule(tunnels: Tunnel[], { fromMs, untilMs }: Closing): void {
    if (tunnels.length === 0) return
    this.#hasDeadlines = true
    const stepMs = (untilMs - fromMs) / tunnels.length
    for (const [index, tunnel] of tunnels.entries()) tunnel.closeAtMs = fromMs + stepMs * index
  }

  #closeDue(nowMs: number): void {
    let left = 0
    for (const tunnel of this.#tunnels.keys()) {
      if (tunnel.closeAtMs === 0) continue
      if (tunnel.closeAtMs > nowMs) left += 1
      else if (this.#closingAll !== null) tunnel.close('stop', CLOSE_CODE.goingAway, 'server stops')
      else tunnel.close('restart', CLOSE_CODE.serviceRestart, 'service restart')
    }
    this.#hasDeadlines = left > 0
  }
}

function targetOf(link: Link, { origin }: AskedRequest): TunnelTarget {
  return { connect: () => connect(link.worker.tunnelPath), preamble: printPreamble(origin) }
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
