/**
 * Writes to the socket of one client connection.
 *
 * The hot path: a response goes straight to the handle of the socket, past `node:stream`. The bookkeeping of
 * `node:stream` for a write that the kernel takes at once (a request object, a callback, a turn of `process.nextTick`)
 * took a tenth of the proxy's own time. Bytes that the kernel does not take wait in libuv, in order, and `drain` is
 * emitted when nothing waits any more, as a socket does.
 *
 * What must stay true: waiting bytes cost little more than their size. Each write that libuv holds costs some 700
 * bytes, and an application may send its response byte by byte to a client that does not read. So short pieces behind
 * such a write are joined.
 *
 * Source: lib/internal/stream_base_commons.js (writeGeneric) and src/stream_base.cc (Write) of Node 20 to 26. On a Node
 * that works differently, the socket's own `write` is used.
 */

import { Socket } from 'node:net'
import { GatheredBytes } from '../../kit/link/gathered-bytes.js'

/** As much as a frame of the link carries. */
const SCRATCH_BYTES = 64 * 1024
/** Shorter pieces are joined, up to this many bytes. */
const JOINED_BYTES = 4096

/** What a handle remembers of a write that the kernel did not take at once. */
interface WriteRequest {
  /** Below 0: no handle has taken the request for a write, and none will call it back. */
  getAsyncId(): number
  oncomplete: (status: number) => void
  /** Keeps the unwritten bytes alive. */
  buffer?: Buffer
}

type WriteRequestClass = new () => WriteRequest

/** Both methods return 0, or a negative error. */
interface Handle {
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Buffer): number
  /** Bytes that libuv holds. */
  readonly writeQueueSize: number
}

const Request = writeRequestClass()

/**
 * A request object that no handle holds. A write that the kernel takes whole leaves it free for the next write of any
 * connection.
 */
let spare = Request === null ? null : new Request()
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

export class ClientWriter {
  readonly #socket: Socket
  readonly #isDirect: boolean
  /**
   * The number of writes that libuv holds, and the bytes behind them. Bytes, because text would be a rope of its
   * pieces, some thirty times as large.
   */
  #held = 0
  readonly #behind = new GatheredBytes()

  constructor(socket: Socket) {
    this.#socket = socket
    this.#isDirect = Request !== null && isHandle(handleOf(socket))
  }

  /** A string is latin1; a buffer must not change any more. False: wait for `whenWritable`. */
  write(bytes: string | Buffer): boolean {
    if (this.#isDirect) return this.#writeDirectly(bytes)
    return typeof bytes === 'string' ? this.#socket.write(bytes, 'latin1') : this.#socket.write(bytes)
  }

  /**
   * Writes the bytes from `start` to `end`; the buffer may change afterwards. As a rule the kernel takes all of them at
   * once, and they need no memory of their own: they are copied into a scratch buffer that the next write uses again. A
   * new buffer for each piece would live outside of V8's heap; collecting such buffers took a quarter of a proxy's time
   * at responses of 100 KB.
   */
  writeLent(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start
    // Bytes behind others will not be taken at once.
    if (length > SCRATCH_BYTES || this.waitingBytes > 0) return this.write(Buffer.from(bytes.subarray(start, end)))
    bytes.copy(scratch, 0, start, end)
    const isFlowing = this.write(scratch.subarray(0, length))
    // The kernel did not take everything: libuv holds on to this buffer.
    if (this.waitingBytes > 0) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
    return isFlowing
  }

  /**
   * Ends the stream behind everything that waits; `finished`: the kernel has it all. Not sooner: a handle that has
   * begun to shut down can no longer be reset.
   */
  end(finished: () => void): void {
    if (!this.#isDirect || this.waitingBytes === 0) this.#socket.end(finished)
    else this.whenWritable(() => this.#socket.end(finished))
  }

  whenWritable(callback: () => void): void {
    this.#socket.once('drain', callback)
  }

  /** Bytes that the kernel has not taken. */
  get waitingBytes(): number {
    if (!this.#isDirect) return this.#socket.writableLength
    if (this.#held === 0) return 0
    return (handleOf(this.#socket)?.writeQueueSize ?? 0) + this.#behind.length
  }

  /** Writes the joined bytes: other code writes to the socket after this. */
  flush(): void {
    if (this.#behind.length > 0) this.#submit(this.#behind.take())
  }

  /** Libuv holds so many writes that none should be added. */
  get isFull(): boolean {
    return this.#isDirect ? this.waitingBytes > 0 : this.#socket.writableNeedDrain
  }

  #writeDirectly(bytes: string | Buffer): boolean {
    if (this.#held === 0) return this.#submit(bytes)
    if (bytes.length >= JOINED_BYTES) {
      this.flush()
      return this.#submit(bytes)
    }
    if (typeof bytes === 'string') this.#behind.addText(bytes)
    else this.#behind.add(bytes)
    if (this.#behind.length >= JOINED_BYTES) this.flush()
    return false
  }

  #submit(bytes: string | Buffer): boolean {
    const handle = handleOf(this.#socket)
    const request = spare
    if (handle === null || request === null) return false
    const error =
      typeof bytes === 'string' ? handle.writeLatin1String(request, bytes) : handle.writeBuffer(request, bytes)
    // But an empty queue: libuv may have written the rest already and still hold the request.
    if (error === 0 && request.getAsyncId() < 0) return true
    spare = new Request!()
    if (error === 0) this.#held += 1
    else this.#socket.destroy()
    request.oncomplete = status => this.#written(status)
    if (typeof bytes !== 'string') request.buffer = bytes
    return false
  }

  /** A waiting write is done or has failed. */
  #written(status: number): void {
    this.#held -= 1
    if (status !== 0) this.#socket.destroy()
    else if (this.#held === 0) this.flush()
    if (this.#held === 0 && !this.#socket.destroyed) this.#socket.emit('drain')
  }
}

function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle
}

function isHandle(handle: Partial<Handle> | null): boolean {
  return (
    typeof handle?.writeLatin1String === 'function' &&
    typeof handle.writeBuffer === 'function' &&
    typeof handle.writeQueueSize === 'number'
  )
}

/** Node shows the class only to handles, so a fake handle asks for it. null: this Node writes in another way. */
function writeRequestClass(): WriteRequestClass | null {
  let found: WriteRequestClass | null = null
  const handle = {
    writeLatin1String(request: WriteRequest): number {
      found = request.constructor as WriteRequestClass
      return 0
    },
  }
  try {
    const socket = new Socket({ handle, readable: false } as ConstructorParameters<typeof Socket>[0])
    socket.on('error', () => {})
    socket.write(' ', 'latin1')
    return found !== null && new (found as WriteRequestClass)().getAsyncId() < 0 ? found : null
  } catch {
    return null
  }
}
