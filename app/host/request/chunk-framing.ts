/**
 * Checks the chunks of a response on their way out (RFC 9112 §7.1). `node:http` frames what it is given, but bytes
 * written to `res.socket`, or a trailer set behind its back, could end the response early and begin another one.
 */

const LINE_FEED = 10
/** The size of a chunk with its CRLF. Node prints no longer size. */
const MAX_SIZE_LINE = 18
const MAX_TRAILER_BYTES = 64 * 1024
const SIZE = /^[\dA-Fa-f]{1,13}\r\n$/
const TRAILER = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t -~\x80-\xff]*\r\n$/

export class ChunkFraming {
  /** Bytes of the current chunk that have not come. */
  #left = 0
  #part: 'size' | 'data-end' | 'trailers' | 'done' = 'size'
  /** The beginning of a line whose end has not come. */
  #line = ''
  #trailerBytes = 0

  /** The last chunk and its trailers have passed. */
  get isComplete(): boolean {
    return this.#part === 'done'
  }

  /**
   * Takes the next bytes (a string is latin1) from `start` on. False: they are no chunks, or come behind the last one.
   */
  take(bytes: string | Buffer, start = 0): boolean {
    let at = start
    while (at < bytes.length) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, bytes.length - at)
        this.#left -= count
        at += count
      } else {
        const end = lineEnd(bytes, at)
        this.#line += typeof bytes === 'string' ? bytes.slice(at, end) : bytes.latin1Slice(at, end)
        at = end
        if (!this.#judge()) return false
      }
    }
    return true
  }

  #judge(): boolean {
    const line = this.#line
    const isWhole = line.charCodeAt(line.length - 1) === LINE_FEED
    if (this.#part === 'done' || line.length > (this.#part === 'trailers' ? MAX_TRAILER_BYTES : MAX_SIZE_LINE))
      return false
    if (!isWhole) return true
    this.#line = ''
    if (this.#part === 'data-end') {
      this.#part = 'size'
      return line === '\r\n'
    }
    return this.#part === 'size' ? this.#beginChunk(line) : this.#endTrailer(line)
  }

  #beginChunk(line: string): boolean {
    if (!SIZE.test(line)) return false
    this.#left = Number.parseInt(line, 16)
    this.#part = this.#left === 0 ? 'trailers' : 'data-end'
    return true
  }

  #endTrailer(line: string): boolean {
    if (line === '\r\n') {
      this.#part = 'done'
      return true
    }
    this.#trailerBytes += line.length
    return this.#trailerBytes <= MAX_TRAILER_BYTES && TRAILER.test(line)
  }
}

/** The position behind the next line feed, or the end of the bytes. */
function lineEnd(bytes: string | Buffer, at: number): number {
  const found = typeof bytes === 'string' ? bytes.indexOf('\n', at) : bytes.indexOf(LINE_FEED, at)
  return found < 0 ? bytes.length : found + 1
}
