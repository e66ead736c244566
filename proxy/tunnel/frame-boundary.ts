/**
 * Finds where the frames of one direction of a WebSocket begin and end (RFC 6455 §5.2), and makes the close frame that
 * a proxy may put between two of them. It is fed with the bytes of the server. It reads headers only: no payload is
 * read, copied or unmasked.
 */

/** RFC 6455 §7.4.1 and the IANA registry: the server goes away; the service restarts, come back after a while. */
export const CLOSE_CODE = { goingAway: 1001, serviceRestart: 1012 } as const

const CLOSE_OPCODE = 8
const FINAL = 0x80
/** A control frame carries no more (RFC 6455 §5.5); two of its bytes are the code. */
const MAX_REASON_BYTES = 123

export class FrameBoundary {
  #payloadBytes = 0
  /** Bytes of the header so far, and the whole length of the header when it is known. */
  #headerBytes = 0
  #wholeHeaderBytes = 2
  #lengthBytes = 0
  /** A close frame has begun: its sender sends nothing after it. */
  closes = false

  get isReached(): boolean {
    return this.#payloadBytes === 0 && this.#headerBytes === 0
  }

  /** Takes bytes: all of them, or those up to the next boundary. Returns how many. */
  feed(bytes: Buffer, upToBoundary = false): number {
    let at = 0
    while (at < bytes.length) {
      // The bytes of the payload length are collected in the counter of the payload.
      if (this.#headerBytes === 0 && this.#payloadBytes > 0) {
        const taken = Math.min(this.#payloadBytes, bytes.length - at)
        this.#payloadBytes -= taken
        at += taken
      } else this.#header(bytes[at++]!)
      if (upToBoundary && this.isReached) break
    }
    return at
  }

  #header(byte: number): void {
    this.#headerBytes += 1
    if (this.#headerBytes === 1) {
      if ((byte & 0x0f) === CLOSE_OPCODE) this.closes = true
    } else if (this.#headerBytes === 2) {
      const length = byte & 0x7f
      this.#lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0
      this.#payloadBytes = this.#lengthBytes === 0 ? length : 0
      // Servers do not mask, but a masked frame is followed all the same.
      this.#wholeHeaderBytes = 2 + this.#lengthBytes + (byte & 0x80 ? 4 : 0)
    } else if (this.#headerBytes <= 2 + this.#lengthBytes) this.#payloadBytes = this.#payloadBytes * 256 + byte
    if (this.#headerBytes >= 2 && this.#headerBytes === this.#wholeHeaderBytes) this.#headerBytes = 0
  }
}

/** A server's close frame: not masked, not fragmented. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, MAX_REASON_BYTES)
  return Buffer.from([FINAL | CLOSE_OPCODE, 2 + text.length, code >> 8, code & 0xff, ...text])
}
