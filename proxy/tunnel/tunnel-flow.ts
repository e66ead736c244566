/**
 * An open tunnel: bytes both ways between a client and its upstream, and its end. It begins with the upstream's 101.
 *
 * The headers of the upstream's frames are followed, so that the proxy can end a tunnel as a server would: with a close
 * frame between two frames. The client responds with its own close frame, the application sees the client close with
 * that code, and after a bound the remaining sockets are closed.
 */

import type { Socket } from 'node:net'
import { TUNNEL_CLOSE_MS } from '../../kit/channel/messages.js'
import { JoiningWriter } from '../../kit/link/joining-writer.js'
import type { TunnelMetrics, TunnelReason } from '../observe/tunnel-metrics.js'
import { closeFrame, FrameBoundary } from './frame-boundary.js'

/** How long one side may take none of the bytes that the other side sent before its end. */
const STUCK_MS = 60_000
/**
 * A client whose host vanished is found by probes that begin after this silence; the kernel gives up some ten seconds
 * later.
 */
const PROBE_MS = 60_000

/** The two sides, and the bytes that each has sent already. */
export interface TunnelSides {
  client: Socket
  /** Came behind the client's head. */
  early: Buffer
  upstream: Socket
  /** The upstream's 101, and the bytes behind it. */
  head: string
  rest: Buffer
}

export class Tunnel {
  /** Monotonic time at which it has to be closed, 0 = no limit; kept here for `tunnels.ts`. */
  closeAtMs = 0
  /** Monotonic time since which nothing has passed, as `isIdle` saw it. */
  #idleSinceMs: number
  #idleBytes = 0
  #bytes = 0
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #clientWriter: JoiningWriter
  readonly #upstreamWriter: JoiningWriter
  readonly #metrics: TunnelMetrics
  readonly #frames = new FrameBoundary()
  readonly #onClose: () => void
  #reason: TunnelReason | null = null
  #closing: Buffer | null = null
  /** Our close frame has been written: later bytes of the upstream are dropped. */
  #isCut = false
  #open = 2

  /** `onClose` is called when both sides are closed. */
  constructor(sides: TunnelSides, nowMs: number, metrics: TunnelMetrics, onClose: () => void) {
    const { client, upstream, early, head, rest } = sides
    this.#client = client
    this.#upstream = upstream
    this.#clientWriter = new JoiningWriter(client)
    this.#upstreamWriter = new JoiningWriter(upstream)
    this.#metrics = metrics
    this.#onClose = onClose
    this.#idleSinceMs = nowMs
    metrics.opened += 1
    client.setKeepAlive(true, PROBE_MS)
    this.#clientWriter.write(head)
    if (rest.length > 0) this.#fromUpstream(rest)
    if (early.length > 0) this.fromClient(early)
    this.#join()
  }

  /** Bytes of the client; the reader of its socket calls this. */
  fromClient(bytes: Buffer): void {
    this.#bytes += bytes.length
    this.#metrics.fromClientBytes += bytes.length
    if (!this.#upstreamWriter.write(bytes)) this.#client.pause()
  }

  /** Whether nothing has passed for this long; checked periodically. */
  isIdle(nowMs: number, limitMs: number): boolean {
    if (this.#bytes === this.#idleBytes) return nowMs - this.#idleSinceMs >= limitMs
    this.#idleBytes = this.#bytes
    this.#idleSinceMs = nowMs
    return false
  }

  /** Sends the client a close frame at the next boundary, and closes the rest after `TUNNEL_CLOSE_MS`. */
  close(reason: TunnelReason, code: number, text: string): void {
    if (this.#closing !== null) return
    this.#closing = closeFrame(code, text)
    this.#reason ??= reason
    const timer = setTimeout(() => this.destroy(), TUNNEL_CLOSE_MS)
    this.#client.once('close', () => clearTimeout(timer))
    // An application that has sent a close frame itself is not interrupted.
    if (this.#frames.isReached && !this.#frames.closes) this.#cut(this.#closing)
  }

  destroy(): void {
    this.#client.destroy()
    this.#upstream.destroy()
  }

  #join(): void {
    const client = this.#client
    const upstream = this.#upstream
    upstream.on('data', chunk => this.#fromUpstream(chunk))
    client.on('drain', () => upstream.resume())
    upstream.on('drain', () => client.resume())
    client.on('end', () => this.#ended('client', this.#upstreamWriter))
    upstream.on('end', () => this.#ended('application', this.#clientWriter))
    client.on('close', () => this.#closed('client', upstream, this.#upstreamWriter))
    upstream.on('close', () => this.#closed('application', client, this.#clientWriter))
    if (!upstream.writableNeedDrain) client.resume()
    if (!client.writableNeedDrain) upstream.resume()
  }

  #fromUpstream(chunk: Buffer): void {
    if (this.#isCut) return
    if (this.#closing === null || this.#frames.closes) {
      this.#frames.feed(chunk)
      return this.#toClient(chunk)
    }
    this.#toClient(chunk.subarray(0, this.#frames.feed(chunk, true)))
    if (this.#frames.isReached && !this.#frames.closes) this.#cut(this.#closing)
  }

  #toClient(bytes: Buffer): void {
    this.#bytes += bytes.length
    this.#metrics.toClientBytes += bytes.length
    if (!this.#clientWriter.write(bytes)) this.#upstream.pause()
  }

  #cut(frame: Buffer): void {
    this.#toClient(frame)
    this.#isCut = true
    this.#upstream.resume()
  }

  #ended(by: TunnelReason, other: JoiningWriter): void {
    this.#reason ??= by
    // The side that has ended may still listen, but not for ever to a side that sends nothing.
    for (const socket of [this.#client, this.#upstream]) socket.setTimeout(STUCK_MS, () => socket.destroy())
    other.end()
  }

  /**
   * Ends the other side when it has taken the bytes written to it: the last message of one side is often followed by
   * its end at once.
   */
  #closed(by: TunnelReason, other: Socket, writer: JoiningWriter): void {
    this.#reason ??= by
    this.#open -= 1
    if (this.#open === 0) {
      this.#metrics.closed(this.#reason)
      return this.#onClose()
    }
    // Not by its idle time: nobody wants the bytes that it still sends, and each of them would renew that time.
    const stuck = setTimeout(() => other.destroy(), STUCK_MS)
    other.once('close', () => clearTimeout(stuck))
    writer.flush()
    other.destroySoon()
  }
}
