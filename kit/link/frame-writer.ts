/**
 * The sending half of a link at the proxy: all frames of one turn of the event loop leave in one write. The worker's is
 * `app/host/link/outbox-writer.ts`.
 */

import type { Socket } from 'node:net'
import { COPY_BYTES, type FrameSender, keepReadingAfterWriteErrors } from './frame-sender.js'
import { FRAME, frameHeader } from './frames.js'
import { GatheredBytes } from './gathered-bytes.js'
import { JoiningWriter } from './joining-writer.js'

export class FrameWriter implements FrameSender {
  readonly #socket: Socket
  readonly #writer: JoiningWriter
  readonly #onSlow: () => void
  #pending = ''
  #scheduled = false
  /**
   * Short pieces of bodies that came while the peer read nothing, by id. Each frame has a header, so a frame for each
   * piece would take nine times the memory.
   */
  readonly #pieces = new Map<number, GatheredBytes>()

  /** `onSlow`: the socket holds more than its high-water mark, so bytes may wait; called for each such write. */
  constructor(socket: Socket, onSlow: () => void = () => {}) {
    this.#socket = socket
    this.#onSlow = onSlow
    this.#writer = new JoiningWriter(socket, () => this.#passPieces())
    keepReadingAfterWriteErrors(socket)
  }

  send(frame: string): void {
    if (this.#pieces.size > 0) this.#passPiecesOf(idOf(frame))
    this.#queue(frame)
  }

  sendBytes(type: number, id: number, bytes: Buffer): void {
    if (bytes.length < COPY_BYTES && type === FRAME.data && this.#writer.isHeld) return this.#gather(id, bytes)
    if (this.#pieces.size > 0) this.#passPiecesOf(id)
    if (bytes.length <= COPY_BYTES) {
      this.#queue(frameHeader(type, id, bytes.length) + bytes.latin1Slice())
      return
    }
    const pending = this.#pending + frameHeader(type, id, bytes.length)
    this.#pending = ''
    if (this.#socket.writable && !this.#writer.writeBoth(pending, bytes)) this.#onSlow()
  }

  readonly flush = (): void => {
    this.#scheduled = false
    if (this.#pending === '') return
    const pending = this.#pending
    this.#pending = ''
    if (this.#socket.writable && !this.#writer.write(pending)) this.#onSlow()
  }

  get backlogBytes(): number {
    let bytes = this.#writer.waitingBytes
    for (const pieces of this.#pieces.values()) bytes += pieces.length
    return bytes
  }

  /** Calls `taken` once the kernel has all bytes that were sent so far, or will take no more. */
  mark(taken: () => void): void {
    for (const id of this.#pieces.keys()) this.#passPiecesOf(id)
    this.flush()
    if (this.#socket.writable) this.#writer.mark(taken)
  }

  /** Something waits for the end of this turn. */
  get isPending(): boolean {
    return this.#scheduled
  }

  #queue(frame: string): void {
    this.#pending += frame
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(this.flush)
    }
  }

  #gather(id: number, bytes: Buffer): void {
    let pieces = this.#pieces.get(id)
    if (pieces === undefined) {
      pieces = new GatheredBytes()
      this.#pieces.set(id, pieces)
    }
    pieces.add(bytes)
    if (pieces.length >= COPY_BYTES) this.#passPiecesOf(id)
  }

  /** Every other frame of this id comes behind its pieces. */
  #passPiecesOf(id: number): void {
    const pieces = this.#pieces.get(id)
    if (pieces === undefined) return
    this.#pieces.delete(id)
    this.#queue(frameHeader(FRAME.data, id, pieces.length) + pieces.room.latin1Slice(0, pieces.length))
  }

  #passPieces(): void {
    if (this.#pieces.size === 0) return
    for (const id of this.#pieces.keys()) this.#passPiecesOf(id)
    this.flush()
  }
}

/** The id in the header of a whole frame. */
function idOf(frame: string): number {
  const high = (frame.charCodeAt(7) << 24) | (frame.charCodeAt(6) << 16)
  return (high | (frame.charCodeAt(5) << 8) | frame.charCodeAt(4)) >>> 0
}
