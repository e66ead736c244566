/**
 * Joins bytes that arrive in pieces: the beginning of a frame, or of a head. The room doubles, so each byte is copied
 * only a few times, however small the pieces are. Joining all bytes again at each piece would copy with the square of
 * the number of pieces.
 */

const LEAST_BYTES = 256
/** A larger room is given back once it is not needed. */
const MOST_KEPT_BYTES = 64 * 1024

const NOTHING: Buffer = Buffer.alloc(0)

export class GatheredBytes {
  #room = NOTHING
  /** The number of gathered bytes; read only. It is a field, not a getter, because each read and write needs it. */
  length = 0

  /** The first `length` bytes of it have been gathered; valid until the next `add`. */
  get room(): Buffer {
    return this.#room
  }

  /** Where the text begins, not before `from`; -1: nowhere. */
  indexOf(text: string, from = 0): number {
    return this.#room.subarray(0, this.length).indexOf(text, from, 'latin1')
  }

  /** Copies `bytes` from `start` to `end`. */
  add(bytes: Buffer, start = 0, end = bytes.length): void {
    const length = this.length + end - start
    if (length > this.#room.length) this.#grow(length)
    bytes.copy(this.#room, this.length, start, end)
    this.length = length
  }

  /** The same of latin1 text. */
  addText(text: string): void {
    const length = this.length + text.length
    if (length > this.#room.length) this.#grow(length)
    this.#room.latin1Write(text, this.length)
    this.length = length
  }

  clear(): void {
    this.length = 0
    if (this.#room.length > MOST_KEPT_BYTES) this.#room = NOTHING
  }

  /** Returns all bytes; the buffer belongs to the caller from now on. */
  take(): Buffer {
    const all = this.#room.subarray(0, this.length)
    this.#room = NOTHING
    this.length = 0
    return all
  }

  #grow(length: number): void {
    const room = Buffer.allocUnsafeSlow(Math.max(LEAST_BYTES, length, this.#room.length * 2))
    this.#room.copy(room, 0, 0, this.length)
    this.#room = room
  }
}
