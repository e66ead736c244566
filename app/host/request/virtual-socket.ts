/**
 * The socket that an application sees behind a request that came over the link: `req.socket`, `res.socket`. Each
 * request has one. Its owner (`served-request.ts`) takes the written bytes and gives credit back.
 *
 * It is a `stream.Duplex` (`lazy-duplex.ts`), but `write`, `cork` and `uncork` do not go through the stream's own
 * queue: the link has its own batching and window. What must stay true for `http.ServerResponse`: callbacks come in
 * order and never before `write` returned, `write` is false when the window is used up, and `drain` follows. Everything
 * that an application may assign to a socket of Node, it may assign to this one: many set `encrypted` if TLS ends
 * before them.
 */

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { clearTimeout, setTimeout } from 'node:timers'
import { REQUEST_FLAG, type WireRequest } from '../../../kit/link/frames.js'
import { LazyDuplex } from './lazy-duplex.js'

type WriteCallback = (error?: Error | null) => void

/** Takes the bytes and hears of the application's calls: `served-request.ts`. */
export interface VirtualSocketOwner {
  /** Takes a chunk; `callback` is called when it has left. False: wait for `drain`. */
  take(chunk: string | Buffer, encoding: BufferEncoding, callback: WriteCallback | undefined): boolean
  /** Bytes of the response that wait for credit. */
  readonly waitingBytes: number
  /** The application reads: more of the request body is welcome. */
  wantsBody(): void
  /** The socket was destroyed. `gone` lets it emit `close`, which a socket of Node does when its handle is closed. */
  socketDestroyed(gone: () => void): void
  /** The application says how long this request may take from now on; see `application-hook.ts`. */
  harakiri(ms: number): void
  /** No byte has passed for the time of `setTimeout`. */
  timedOut(): void
}

/**
 * The near end of a client's connection: where the application's own server listens. Empty on a unix path, as in Node.
 */
export type LocalAddress = Partial<AddressInfo>

export function localAddressOf(server: Server): LocalAddress {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address : {}
}

export class VirtualSocket extends LazyDuplex {
  readonly #owner: VirtualSocketOwner
  readonly #client: WireRequest
  readonly server: Server
  #timeoutMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  bytesRead = 0
  bytesWritten = 0

  constructor(owner: VirtualSocketOwner, client: WireRequest, server: Server) {
    super()
    this.#owner = owner
    this.#client = client
    this.server = server
  }

  get remoteAddress(): string {
    return this.#client.clientAddress
  }

  get remotePort(): number {
    return this.#client.clientPort
  }

  get remoteFamily(): string {
    return this.#client.clientAddress.includes(':') ? 'IPv6' : 'IPv4'
  }

  get encrypted(): boolean {
    return (this.#client.flags & REQUEST_FLAG.encrypted) !== 0
  }

  set encrypted(value: boolean) {
    assign(this, 'encrypted', value)
  }

  get localAddress(): string | undefined {
    return localAddressOf(this.server).address
  }

  get localFamily(): string | undefined {
    return localAddressOf(this.server).family
  }

  get localPort(): number | undefined {
    return localAddressOf(this.server).port
  }

  get connecting(): boolean {
    return false
  }

  set connecting(value: boolean) {
    assign(this, 'connecting', value)
  }

  get pending(): boolean {
    return false
  }

  get readyState(): string {
    return this.destroyed ? 'closed' : 'open'
  }

  get timeout(): number | undefined {
    return this.#timeoutMs
  }

  /** Changes only the value that is shown, as in Node. */
  set timeout(value: number | undefined) {
    this.#timeoutMs = value
  }

  get bufferSize(): number {
    return this.#owner.waitingBytes
  }

  setHarakiri(ms: number): void {
    this.#owner.harakiri(ms)
  }

  address(): LocalAddress {
    return localAddressOf(this.server)
  }

  static {
    // TypeScript has it as a property of Duplex, not as an accessor. It is read with each response, and by code that
    // drops slow clients.
    // biome-ignore lint/complexity/noThisInStatic: a class of a bundle that names itself is renamed (`test/bundle.ts`).
    Object.defineProperty(this.prototype, 'writableLength', {
      get(this: VirtualSocket) {
        return this.#owner.waitingBytes
      },
    })
  }

  override write(chunk: unknown, encoding?: BufferEncoding | WriteCallback, callback?: WriteCallback): boolean {
    const done = typeof encoding === 'function' ? encoding : callback
    if (this.destroyed) {
      if (done) process.nextTick(done, new Error('write after the client was gone'))
      return false
    }
    if (this.#timer) this.#timer.refresh()
    const bytes = typeof chunk === 'string' || Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array)
    this.bytesWritten += bytes.length
    return this.#owner.take(bytes, typeof encoding === 'string' ? encoding : 'utf8', done)
  }

  override cork(): void {}

  override uncork(): void {}

  /** The response's own `end` marks its end; ending the socket alone means closing the connection. */
  override end(...args: unknown[]): this {
    const [chunk, encoding] = args
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) {
      this.write(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : undefined)
    }
    this.destroy()
    return this
  }

  /** `http.ServerResponse` calls it when the connection is not to be kept. */
  destroySoon(): void {
    this.destroy()
  }

  /** There is no connection to reset. */
  resetAndDestroy(): this {
    return this.destroy()
  }

  override resume(): this {
    this.#owner.wantsBody()
    return this
  }

  override pause(): this {
    return this
  }

  override _read(): void {}

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (this.#timer) this.setTimeout(0)
    // `node:http` listens to the errors of its sockets: a response destroyed with an error must not end the process.
    callback(this.listenerCount('error') > 0 ? error : null)
    this.#owner.socketDestroyed(() => this.emit('close', error !== null))
  }

  /** As `net.Socket`: `timeout` after this time without a byte in either direction; 0 stops it. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timeoutMs = timeoutMs
    if (timeoutMs > 0) {
      this.#timer = setTimeout(() => this.#owner.timedOut(), timeoutMs)
      this.#timer.unref()
      if (listener) this.once('timeout', listener)
    } else if (listener) {
      this.removeListener('timeout', listener)
    }
    return this
  }

  /** Bytes of the request came. */
  received(bytes: number): void {
    this.bytesRead += bytes
    if (this.#timer) this.#timer.refresh()
  }

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** The socket is connected and stays so: a socket of Node ends with the same error. */
  connect(): this {
    return this.destroy(Object.assign(new Error('connect EISCONN'), { code: 'EISCONN', syscall: 'connect' }))
  }

  setTypeOfService(): this {
    return this
  }

  getTypeOfService(): number {
    return 0
  }
}

/** From now on this is a property of this socket alone, as for sockets of Node. */
function assign(socket: VirtualSocket, name: string, value: unknown): void {
  Object.defineProperty(socket, name, { value, writable: true, enumerable: true, configurable: true })
}
