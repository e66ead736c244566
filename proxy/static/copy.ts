/**
 * Sends parts of an open file into a connection, in bounded memory and at the pace of the connection. `responseForFile`
 * has chosen the parts. Must stay true: the file is closed exactly once. Announced bytes are sent whole, or the copy
 * ends as `failed`; then the caller has to destroy the connection (or, if nothing was sent yet, may still send an error
 * response). After `cancel` nothing is written.
 */

import { Failure, reasonOf } from '../../kit/ground/failure.js'
import { giveBack, LARGE_BYTES, takeBuffer } from './chunk-buffers.js'
import type { BodyPart } from './files.js'
import { WHOLE_READ_BYTES } from './open.js'
import type { OpenFile, ReadDone } from './open-file.js'

/** Where the bytes go: a connection, a stream behind two small functions, an HTTP/2 stream. */
export interface ByteSink {
  /** Takes a chunk over. False: no more until `whenWritable` calls back. The sink may cancel the copy in here. */
  write(chunk: Buffer): boolean
  /** Calls `callback` when more may be written after a false. Once is enough; more often does no harm. */
  whenWritable(callback: () => void): void
  /**
   * Bytes that it still refers to; 0 at the latest when it is writable again. Then one buffer serves the whole copy.
   * Left out: it may keep each chunk, so each has its own buffer.
   */
  readonly waitingBytes?: number
}

/**
 * `sentBytes`: of the head and the body, given to the sink. `failed` with 0 sent: an error response is still possible.
 */
export type CopyEnd =
  | { ending: 'complete' | 'cancelled'; sentBytes: number }
  | { ending: 'failed'; sentBytes: number; failure: Failure }

export interface FileCopy {
  /** Never rejects. The failures are `file-truncated` and `file-unreadable`. */
  readonly finished: Promise<CopyEnd>
  /** The client has gone: nothing more is read or written. Idempotent. */
  cancel(): void
}

const MANY_CHUNK_BYTES = 64 * 1024
const FEW_HELD_BYTES = 16 * 1024 * 1024

/** Bytes of the chunks that all copies of this process hold now. */
let heldBytes = 0

/**
 * Large chunks while there are few copies, because they cost a third less CPU than small ones; small chunks when
 * thousands of slow readers hold one each.
 */
export function chunkBytesFor(held: number): number {
  return held < FEW_HELD_BYTES ? LARGE_BYTES : MANY_CHUNK_BYTES
}

/**
 * Sends `head` (latin1, may be empty) and the parts, at least one, and closes the file. A small part leaves in one
 * write with the bytes before it. May write before it returns.
 */
export function copyFileTo(file: OpenFile, parts: readonly BodyPart[], sink: ByteSink, head = ''): FileCopy {
  return new Copy(file, parts, sink, head)
}

class Copy implements FileCopy {
  readonly finished: Promise<CopyEnd>
  readonly #file: OpenFile
  readonly #parts: readonly BodyPart[]
  readonly #sink: ByteSink
  #partsBegun = 0
  #position = 0
  /** Bytes left of the current part. */
  #leftBytes = 0
  #sentBytes = 0
  /** Holds the chunk; it may be larger. */
  #buffer: Buffer = Buffer.alloc(0)
  /** The chunk being filled: its first `#filledBytes` bytes are read already. */
  #chunk: Buffer = Buffer.alloc(0)
  #filledBytes = 0
  #isWaitingForDrain = false
  #isFinished = false
  #end: (end: CopyEnd) => void = () => {}

  constructor(file: OpenFile, parts: readonly BodyPart[], sink: ByteSink, head: string) {
    this.#file = file
    this.#parts = parts
    this.#sink = sink
    this.finished = new Promise(resolve => {
      this.#end = resolve
    })
    this.#beginPart(head)
  }

  cancel(): void {
    if (!this.#isFinished) this.#finish({ ending: 'cancelled', sentBytes: this.#sentBytes })
  }

  /** The first chunk of a part also has the text before the part. */
  #beginPart(head: string): void {
    const part = this.#parts[this.#partsBegun++]
    if (part === undefined) throw new Error('static copy: there is no part to send')
    const text = head + part.text
    const firstBytes = part.bytes <= WHOLE_READ_BYTES ? part.bytes : MANY_CHUNK_BYTES
    this.#position = part.start
    this.#leftBytes = part.bytes
    this.#takeChunk(text.length + firstBytes)
    this.#filledBytes = this.#chunk.write(text, 'latin1')
    this.#fill()
  }

  #fill(): void {
    const wantedBytes = this.#chunk.length - this.#filledBytes
    if (wantedBytes === 0) this.#send()
    else this.#file.read(this.#chunk, this.#filledBytes, wantedBytes, this.#position, this.#wasRead)
  }

  readonly #wasRead: ReadDone = (error, bytesRead) => {
    if (this.#isFinished) return
    if (error !== null) {
      this.#fail('file-unreadable', reasonOf(error), error)
    } else if (bytesRead === 0) {
      this.#fail('file-truncated', `${this.#leftBytes} bytes less than announced`)
    } else {
      this.#filledBytes += bytesRead
      this.#position += bytesRead
      this.#leftBytes -= bytesRead
      this.#fill()
    }
  }

  /** Only full chunks are sent: so a small file that has shrunk fails before anything is sent. */
  #send(): void {
    this.#sentBytes += this.#chunk.length
    const mayGoOn = this.#sink.write(this.#chunk)
    if (this.#isFinished) return
    if (this.#leftBytes === 0 && this.#partsBegun === this.#parts.length) {
      this.#giveBackWhenTaken()
      this.#finish({ ending: 'complete', sentBytes: this.#sentBytes })
    } else if (mayGoOn) {
      this.#next()
    } else {
      this.#isWaitingForDrain = true
      this.#sink.whenWritable(() => this.#drained())
    }
  }

  #drained(): void {
    if (!this.#isWaitingForDrain || this.#isFinished) return
    this.#isWaitingForDrain = false
    this.#next()
  }

  #next(): void {
    if (this.#leftBytes === 0) return this.#beginPart('')
    this.#takeChunk(Math.min(this.#leftBytes, chunkBytesFor(heldBytes - this.#buffer.length)))
    this.#filledBytes = 0
    this.#fill()
  }

  /**
   * A chunk of this size. A buffer that the sink is done with goes back first: then the one that was used last, by
   * whichever copy, is the next, and the core has its bytes at hand.
   */
  #takeChunk(bytes: number): void {
    const { waitingBytes } = this.#sink
    heldBytes -= this.#buffer.length
    if (waitingBytes === 0) giveBack(this.#buffer)
    this.#buffer = waitingBytes === undefined ? Buffer.allocUnsafe(bytes) : takeBuffer(bytes)
    heldBytes += this.#buffer.length
    this.#chunk = this.#buffer.subarray(0, bytes)
  }

  /** After the last chunk. If the client leaves before it has taken that chunk, the buffer is not used again. */
  #giveBackWhenTaken(): void {
    const buffer = this.#buffer
    const sink = this.#sink
    if (sink.waitingBytes === 0) giveBack(buffer)
    else if (sink.waitingBytes !== undefined) sink.whenWritable(() => sink.waitingBytes === 0 && giveBack(buffer))
  }

  #fail(code: string, why: string, cause?: unknown): void {
    const failure = new Failure(code, `cannot send a static file: byte ${this.#position}: ${why}`, undefined, cause)
    this.#finish({ ending: 'failed', sentBytes: this.#sentBytes, failure })
  }

  #finish(end: CopyEnd): void {
    this.#isFinished = true
    heldBytes -= this.#buffer.length
    this.#buffer = Buffer.alloc(0)
    this.#file.close()
    this.#end(end)
  }
}
