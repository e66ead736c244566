/**
 * A WebSocket handshake with an upstream: a worker, or another server.
 *
 * The handshake is an ordinary HTTP/1.1 request on a connection of its own. No byte behind its head goes to the
 * upstream before the 101. Any other response is an ordinary one, which `tunnel-refusal.ts` passes on.
 */

import type { Socket } from 'node:net'
import { GatheredBytes } from '../../kit/link/gathered-bytes.js'
import type { Exchange } from '../exchange/exchange.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { malformation } from '../http/header-field.js'
import { isInterimHead } from '../http/response-head.js'

/** The destination of a tunnel. */
export interface TunnelTarget {
  /** Begins to connect. */
  connect(): Socket
  /** Bytes for the upstream before the request, in latin1; empty for plain HTTP. */
  preamble: string
}

/** The outcome of a handshake: exactly one of these, after any number of `interim`. */
export interface HandshakeEnd {
  /** The connection could not be made: the upstream never saw the request. */
  unreachable(why: Error): void
  /** The response is not HTTP. */
  badResponse(): void
  /** The upstream hung up, or died, before the head was complete; `isSilent`: without a byte of it. */
  hungUp(isSilent: boolean): void
  /** 101. The socket is paused and has no listeners; `rest` came behind the head. */
  switched(upstream: Socket, head: string, rest: Buffer): void
  /** Another final status; as above. */
  refused(upstream: Socket, head: string, rest: Buffer, status: number): void
  /** 1xx: the final response is yet to come. */
  interim(head: string): void
}

const MAX_HEAD_BYTES = 64 * 1024
const MOST_INTERIM_HEADS = 16
const HEAD_END = '\r\n\r\n'

/** Returns a function that gives the handshake up; after that no outcome is reported. */
export function openTunnel(exchange: Exchange, target: TunnelTarget, end: HandshakeEnd): () => void {
  const upstream = target.connect()
  let connected = false
  const received = new GatheredBytes()
  let interimHeads = 0
  const giveUp = () => {
    upstream.removeAllListeners().on('error', () => {})
    upstream.destroy()
  }
  const fail = (why: Error) => {
    giveUp()
    if (connected) end.hungUp(received.length === 0)
    else end.unreachable(why)
  }
  const hangUp = () => fail(new Error('no response'))
  const refuse = () => {
    giveUp()
    end.badResponse()
  }
  const read = (chunk: Buffer) => {
    // The end of the head may have begun in the piece before.
    let from = Math.max(0, received.length - HEAD_END.length + 1)
    received.add(chunk)
    for (;;) {
      const headEnd = received.indexOf(HEAD_END, from)
      if (headEnd < 0 && received.length < MAX_HEAD_BYTES) return
      const all = received.take()
      const head = headEnd < 0 ? '' : all.latin1Slice(0, headEnd + HEAD_END.length)
      const rest = all.subarray(headEnd + HEAD_END.length)
      const status = statusOf(head)
      if (status === null) return refuse()
      if (status >= 200 || status === 101) return decide(status, head, rest)
      interimHeads += 1
      if (interimHeads > MOST_INTERIM_HEADS || !isInterimHead(head)) return refuse()
      end.interim(head)
      received.add(rest)
      from = 0
    }
  }
  const decide = (status: number, head: string, rest: Buffer) => {
    upstream.pause()
    upstream.removeListener('data', read).removeListener('end', hangUp).removeListener('close', hangUp)
    upstream.removeListener('error', fail).on('error', () => {})
    if (status === 101) end.switched(upstream, head, rest)
    else end.refused(upstream, head, rest, status)
  }
  upstream.once('connect', () => {
    connected = true
    upstream.write(target.preamble + printRequest(exchange), 'latin1')
  })
  upstream.on('data', read).on('end', hangUp).on('close', hangUp).on('error', fail)
  return giveUp
}

function statusOf(head: string): number | null {
  const match = /^HTTP\/1\.[01] ([1-5][0-9]{2})[ \r]/.exec(head)
  return match === null || malformation(head.slice(0, -4)) !== null ? null : Number(match[1])
}

/**
 * The handshake as the upstream's own HTTP parser reads it. `close` is for an application that does not know WebSocket:
 * it need not keep a connection that serves this one request only.
 */
function printRequest({ head, wireHeaders }: AskedRequest): string {
  const parts = wireHeaders.slice(1).split('\n')
  let text = `${head.method} ${head.target} HTTP/1.1\r\n`
  for (let index = 0; index < parts.length; index += 2) text += `${parts[index]}: ${parts[index + 1]}\r\n`
  return `${text}Connection: Upgrade, close\r\nUpgrade: ${head.upgrade}\r\n\r\n`
}
