/**
 * The worker's sending half of a link, in the place of `FrameWriter`. It also makes one write per turn, but waiting
 * bytes are in an `Outbox`: so a request that blocks the loop does not hold back the responses before it.
 */

import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers'
import { COPY_BYTES, type FrameSender, keepReadingAfterWriteErrors } from '../../../kit/link/frame-sender.js'
import { frameHeader } from '../../../kit/link/frames.js'
import { Outbox } from '../watchdog/outbox.js'

export class OutboxWriter implements FrameSender {
  readonly outbox = new Outbox()
  readonly #socket: Socket
  #scheduled = false

  constructor(socket: Socket) {
    this.#socket = socket
    keepReadingAfterWriteErrors(socket)
    closeBeforeDestroy(socket, this.outbox)
  }

  send(frame: string): void {
    if (!this.outbox.append(frame)) this.#writeBehind(Buffer.from(frame, 'latin1'))
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(this.#turnEnded)
    }
  }

  sendBytes(type: number, id: number, bytes: Buffer): void {
    const header = frameHeader(type, id, bytes.length)
    if (bytes.length <= COPY_BYTES) return this.send(header + bytes.latin1Slice())
    this.#writeBehind(Buffer.from(header, 'latin1'), bytes)
  }

  readonly flush = (): void => this.outbox.empty(this.#write)

  get backlogBytes(): number {
    return this.#socket.writableLength
  }

  readonly #turnEnded = (): void => {
    this.#scheduled = false
    this.flush()
  }

  /** Writes the waiting bytes, and these behind them, in one write. */
  #writeBehind(...buffers: Buffer[]): void {
    this.outbox.empty(waiting => {
      this.#socket.cork()
      this.#write(waiting)
      for (const bytes of buffers) this.#write(bytes)
      this.#socket.uncork()
      return this.#socket.writableLength > 0
    })
  }

  readonly #write = (bytes: Buffer | null): boolean => {
    if (bytes !== null && this.#socket.writable) this.#socket.write(bytes)
    return this.#socket.writableLength > 0
  }
}

/** A socket gives up its descriptor in `_destroy`, whatever destroys it. */
function closeBeforeDestroy(socket: Socket, outbox: Outbox): void {
  const destroy = socket._destroy.bind(socket)
  socket._destroy = (error, callback) => {
    outbox.close()
    destroy(error, callback)
  }
}
