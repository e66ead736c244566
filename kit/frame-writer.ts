/**
 * The sending half of a link: whatever arises in one turn of the event loop leaves in one write.
 * Used by the proxy's side; the worker's is `app/host/outbox-writer.ts`.
 *
 * A failed write is not an error here: the peer is dead, but what it wrote before is still to be read, and it decides
 * whether a request was seen and whether it was answered. So a write never destroys the socket; its end comes from reading.
 */

import type { Socket } from 'node:net'
import { frameHeader } from './frames.js'

/** Longer byte payloads go to the socket as they are, shorter ones are cheaper to copy into the turn's string. */
export const COPY_BYTES = 4096

/** What both sides' writers do. */
export interface FrameSender {
  /** Queues a whole frame (`frame()` made it) until the end of this turn. */
  send(frame: string): void
  /** Queues a frame whose payload are `bytes`, which must not change until they are written. */
  sendBytes(type: number, id: number, bytes: Buffer): void
  /** Writes what is queued now, without waiting for the end of the turn. */
  flush(): void
  /** Bytes that the kernel has not taken yet. */
  readonly backlogBytes: number
}

export class FrameWriter implements FrameSender {
  readonly #socket: Socket
  #pending = ''
  #scheduled = false

  constructor(socket: Socket) {
    this.#socket = socket
    keepReadingAfterWriteErrors(socket)
  }

  send(frame: string): void {
    this.#pending += frame
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(this.flush)
    }
  }

  sendBytes(type: number, id: number, bytes: Buffer): void {
    if (bytes.length <= COPY_BYTES) {
      this.send(frameHeader(type, id, bytes.length) + bytes.latin1Slice())
      return
    }
    if (!this.#socket.writable) return
    this.#socket.cork()
    this.#pending += frameHeader(type, id, bytes.length)
    this.flush()
    this.#socket.write(bytes)
    this.#socket.uncork()
  }

  readonly flush = (): void => {
    this.#scheduled = false
    if (this.#pending === '') return
    const pending = this.#pending
    this.#pending = ''
    if (this.#socket.writable) this.#socket.write(pending, 'latin1')
  }

  get backlogBytes(): number {
    return this.#socket.writableLength
  }

  /** Something waits for the end of this turn. */
  get isPending(): boolean {
    return this.#scheduled
  }
}

type WriteCallback = (error?: Error | null) => void

/** Makes the socket swallow write errors (EPIPE, ECONNRESET); `_write` and `_writev` are where `node:stream` meets the handle. */
export function keepReadingAfterWriteErrors(socket: Socket): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  socket._write = (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) =>
    write(chunk, encoding, () => callback())
  if (writev) socket._writev = (chunks, callback) => writev(chunks, () => callback())
}
