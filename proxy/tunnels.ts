/**
 * The WebSocket tunnels that are open now, and how each becomes one. One per proxy; `phases.ts` opens them, `proxy-server.ts` ends them when the proxy
 * goes away.
 */

import type { Socket } from 'node:net'
import type { UpstreamAddress } from '../kit/messages.js'
import { monotonicMs } from './clock.js'
import type { Dispatcher } from './dispatcher.js'
import type { ErrorCode } from './error-response.js'
import type { Client, Exchange } from './exchange.js'
import type { Link } from './link.js'
import { openTunnel, withConnectionClose } from './tunnel.js'

/** A client whose bare connection can be taken: HTTP/1.1. */
export interface TunnelClient extends Client {
  takeSocket(): { socket: Socket; early: Buffer }
}

export interface TunnelOutcome {
  /** The other side has answered, with 101 or not. */
  begun?(): void
  failed(code: ErrorCode): void
  over(close: boolean): void
}

export class Tunnels {
  readonly #dispatcher: Dispatcher
  readonly #clients = new Set<Socket>()
  /** Whose answer has not come. */
  readonly #handshakes = new Set<Exchange>()

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher
  }

  get count(): number {
    return this.#clients.size
  }

  open(exchange: Exchange, client: TunnelClient, link: Link, outcome: TunnelOutcome): void {
    link.tunnels += 1
    this.openTo({ path: link.worker.socketPath }, exchange, client, outcome, () => {
      link.tunnels -= 1
      this.#dispatcher.freed(link)
    })
  }

  /** To any HTTP server; `freed` is called once, before the outcome is told or when the exchange is cancelled. */
  openTo(
    address: UpstreamAddress,
    exchange: Exchange,
    client: TunnelClient,
    outcome: TunnelOutcome,
    freed: () => void,
  ): void {
    this.#handshakes.add(exchange)
    const release = once(() => {
      this.#handshakes.delete(exchange)
      freed()
    })
    const finish = (tell: () => void) => {
      release()
      tell()
    }
    const tunnel = openTunnel(exchange, address, {
      unreachable: () => finish(() => outcome.failed('no-tunnel')),
      badAnswer: () => finish(() => outcome.failed('bad-answer')),
      open: status => {
        outcome.begun?.()
        return this.#switched(exchange, client, status)
      },
      refused: (status, head, rest, worker) => {
        outcome.begun?.()
        this.#begun(exchange, status)
        passAnswer(exchange, withConnectionClose(head), rest, worker, () => finish(() => outcome.over(true)))
      },
      closed: () => finish(() => outcome.over(true)),
    })
    exchange.cancel = () => {
      tunnel.destroy()
      release()
    }
  }

  /** Those past their deadline. */
  lateHandshakes(now: number): Exchange[] {
    if (this.#handshakes.size === 0) return []
    return [...this.#handshakes].filter(exchange => exchange.deadlineMs !== 0 && exchange.deadlineMs <= now)
  }

  destroyAll(): void {
    for (const client of this.#clients) client.destroy()
  }

  #switched(exchange: Exchange, client: TunnelClient, status: number): { client: Socket; early: Buffer } {
    this.#begun(exchange, status)
    const { socket, early } = client.takeSocket()
    const earlierBytes = socket.bytesWritten
    this.#clients.add(socket)
    // Before the connection's own listener, which ends the exchange and with it its line in the log.
    socket.prependListener('close', () => {
      this.#clients.delete(socket)
      exchange.sentBytes = socket.bytesWritten - earlierBytes
    })
    return { client: socket, early }
  }

  #begun(exchange: Exchange, status: number): void {
    this.#handshakes.delete(exchange)
    exchange.status = status
    exchange.answerBegun = true
    exchange.firstByteMs = monotonicMs()
    exchange.deadlineMs = 0
  }
}

/** Passes an answer on whose end is the end of the worker's connection. */
function passAnswer(exchange: Exchange, head: string, rest: Buffer, worker: Socket, done: () => void): void {
  const { client } = exchange
  const pass = (bytes: string | Buffer) => {
    if (exchange.finished) return
    exchange.sentBytes += bytes.length
    if (client.write(bytes)) return
    worker.pause()
    client.whenWritable(() => worker.resume())
  }
  worker.on('data', pass)
  worker.on('close', done)
  pass(head)
  if (rest.length > 0) pass(rest)
  worker.resume()
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}

/** WebSocket is the only protocol that is tunnelled; another Upgrade is an ordinary request, as RFC 9110 §7.8 allows. */
export function isTunnel(exchange: Exchange): boolean {
  const { upgrade, method } = exchange.head
  return upgrade !== null && method === 'GET' && !exchange.hasBody && upgrade.toLowerCase() === 'websocket'
}
