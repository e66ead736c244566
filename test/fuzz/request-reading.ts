/**
 * What a reader understands of a client's bytes, and how our proxy understands them: a real `Connection` over a socket in memory, whose request lifecycle
 * answer each request as soon as all of it is there. Used by the test that compares it with Node's reading, and by the fuzzing program.
 */

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Connection } from '../../proxy/client/connection.js'
import { connectionLimits } from '../../proxy/client/connection-limits.js'
import type { Client } from '../../proxy/exchange/client.js'
import { Exchange } from '../../proxy/exchange/exchange.js'
import type { RequestHead } from '../../proxy/http/request-head.js'
import type { RequestLifecycle } from '../../proxy/request-lifecycle.js'
import { SETTINGS } from '../proxy/fixtures/rig.js'

/** `complete`: the body has ended; `refused`: the reader rejected it. Neither: more bytes would be needed. */
export interface BodyReading {
  body: string
  trailers: string[]
  complete: boolean
  refused: boolean
}

export interface OurRequest extends BodyReading {
  head: RequestHead
}

const LIMITS = connectionLimits({ ...SETTINGS, bufferSizeBytes: 1024 * 1024, httpUriSizeBytes: 65_536 })

/**
 * The requests that we read in `input` (latin1), up to the first that is refused, cut, or the last of its connection. `cuts`: where one read ends
 * and the next begins, ascending.
 */
export function readAsProxy(input: string, cuts: readonly number[] = []): OurRequest[] {
  const reading = new Reading()
  const socket = new MemorySocket()
  // What Connection asks of the two is here, and nothing more.
  new Connection(socket as unknown as Socket, reading as unknown as RequestLifecycle, LIMITS)
  const bytes = Buffer.from(input, 'latin1')
  let start = 0
  for (const cut of [...cuts, bytes.length]) {
    // A buffer of its own that is spoilt afterwards: whoever keeps it without a copy is found out.
    const piece = Buffer.from(bytes.subarray(start, cut))
    if (piece.length > 0) socket.emit('data', piece)
    piece.fill('!')
    start = cut
  }
  return reading.requests
}

/** In place of the request lifecycle. */
class Reading {
  readonly requests: OurRequest[] = []
  readonly draining = false
  readonly refusals = { head: (client: Client) => client.completeResponse(true), limited: () => {} }
  #current: OurRequest | null = null

  received(head: RequestHead, client: Client): Exchange {
    this.#current = { head, body: '', trailers: [], complete: false, refused: false }
    this.requests.push(this.#current)
    return new Exchange(head, client, 0)
  }

  begin(exchange: Exchange): void {
    if (exchange.bodyComplete) this.#complete(exchange)
  }

  bodyData(_exchange: Exchange, bytes: Buffer): boolean {
    if (this.#current !== null) this.#current.body += bytes.latin1Slice()
    return true
  }

  bodyEnd(exchange: Exchange, trailers: string): void {
    if (this.#current !== null) this.#current.trailers = trailers === '' ? [] : trailers.split('\n')
    this.#complete(exchange)
  }

  refusedBody(exchange: Exchange, client: Client): void {
    if (this.#current !== null) this.#current.refused = true
    exchange.finished = true
    client.completeResponse(true)
  }

  clientGone(): void {}

  #complete(exchange: Exchange): void {
    if (this.#current !== null) this.#current.complete = true
    exchange.bodyComplete = true
    exchange.finished = true
    // After an upgrade the bytes may be another protocol's; who follows is decided by the application's answer.
    exchange.client.completeResponse(!exchange.head.keepAlive || exchange.head.upgrade !== null)
  }
}

class MemorySocket extends EventEmitter {
  readonly writableNeedDrain = false

  write(): boolean {
    return true
  }

  end(): void {}
  destroy(): void {}
  pause(): void {}
  resume(): void {}

  isPaused(): boolean {
    return false
  }
}
