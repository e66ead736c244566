/**
 * A body in chunked transfer coding (RFC 9112 §7.1), decoded as it arrives. One decoder per message: for request
 * bodies, and to find the end of a chunked response that came from elsewhere.
 *
 * What must stay true: the message ends at the same byte for the proxy as for any other reader, so everything outside
 * the grammar is refused: no sign, prefix or white space around a size, no LF alone, no byte between a chunk's data and
 * its CRLF, no white space around an extension. Everything that a sender can make long is bounded, and no data byte is
 * copied.
 *
 * Trailers: fields that frame or route a message, or are about the connection, are refused, because a reader that
 * merges them sees another message (Node obeys a `Connection: close` there). Other fields that have no meaning or do
 * harm in a trailer (RFC 9110 §6.5.1) are dropped, which that section permits.
 */

import { FIELD, type Field, fieldOf, malformation, trimmedSlice } from './header-field.js'
import { REFUSALS, type Refusal, type RefusalCode } from './refusal.js'

/** Chunk extensions of one message, which nobody reads: room for a signature in some chunks, not for an attack. */
export const MAX_EXTENSION_BYTES = 4096

/** The trailer section of one message without its empty line; Node bounds a head by the same figure. */
export const MAX_TRAILER_BYTES = 16_384

/** 2^53 - 1 has 14 hexadecimal digits; two more for senders that pad to 64 bits. */
const MAX_SIZE_DIGITS = 16

const CRLF_LENGTH = 2
const LINE_FEED = 10

/** Which part of the message the next byte belongs to. */
type Part = 'size' | 'data' | 'data-end' | 'trailers' | 'done'

/** `consumed` bytes of the buffer belong to this message. When it is done, the rest belongs to the next message. */
export interface Decoded {
  consumed: number
  done: boolean
}

export class ChunkedDecoder {
  /** Names and values in turn of the trailer fields received so far that go on. */
  readonly trailers: string[] = []
  #part: Part = 'size'
  /** The beginning of a line whose end has not come. */
  #line = ''
  /** Bytes of the chunk that have not come. */
  #missingBytes = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #refusal: Refusal | null = null

  /**
   * Takes the next bytes of the message, split anywhere, and passes its data to `onData` as parts of `bytes`. After a
   * refusal every call returns it again; after the end, nothing more is consumed.
   */
  decode(bytes: Buffer, onData: (data: Buffer) => void): Decoded | Refusal {
    let at = 0
    while (at < bytes.length && this.#part !== 'done' && this.#refusal === null) {
      at = this.#part === 'data' ? this.#takeData(bytes, at, onData) : this.#takeLine(bytes, at)
    }
    return this.#refusal ?? { consumed: at, done: this.#part === 'done' }
  }

  #takeData(bytes: Buffer, at: number, onData: (data: Buffer) => void): number {
    const end = Math.min(bytes.length, at + this.#missingBytes)
    this.#missingBytes -= end - at
    if (this.#missingBytes === 0) this.#part = 'data-end'
    onData(bytes.subarray(at, end))
    return end
  }

  #takeLine(bytes: Buffer, at: number): number {
    const lineFeed = bytes.indexOf(LINE_FEED, at)
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1
    let refused = this.#line.length + end - at > this.#lineLimit() ? this.#overlongLine(bytes, at, end) : null
    if (refused === null) {
      this.#line += bytes.toString('latin1', at, end)
      refused = lineFeed === -1 ? this.#wrongBegin(this.#line) : this.#endLine()
    }
    if (refused !== null) this.#refusal = REFUSALS[refused]
    return end
  }

  /** The most bytes of the current line, its CRLF included. */
  #lineLimit(): number {
    switch (this.#part) {
      case 'size':
        return MAX_SIZE_DIGITS + MAX_EXTENSION_BYTES - this.#extensionBytes + CRLF_LENGTH
      case 'trailers':
        return MAX_TRAILER_BYTES - this.#trailerBytes + CRLF_LENGTH
      default:
        return CRLF_LENGTH
    }
  }

  #overlongLine(bytes: Buffer, at: number, end: number): RefusalCode {
    const begin = this.#line + bytes.toString('latin1', at, Math.min(end, at + MAX_SIZE_DIGITS + 1))
    return this.#wrongBegin(begin) ?? (this.#part === 'trailers' ? 'trailers-too-long' : 'chunk-extensions-too-long')
  }

  /** The refusal of a line that is not complete: its sender may wait for the response. */
  #wrongBegin(line: string): RefusalCode | null {
    if (this.#part === 'size') return SIZE_BEGIN.test(line) ? null : 'bad-chunk-size'
    if (this.#part === 'trailers') return TRAILER_BEGIN.test(line) ? null : 'bad-trailer'
    return line === '\r' ? null : 'bad-chunk-end'
  }

  #endLine(): RefusalCode | null {
    const line = this.#line
    this.#line = ''
    if (!line.endsWith('\r\n')) return this.#wrongBegin(line) ?? 'bare-lf'
    const content = line.slice(0, -CRLF_LENGTH)
    if (this.#part === 'size') return this.#takeSize(content)
    if (this.#part === 'trailers') return this.#takeTrailer(content)
    this.#part = 'size'
    return content === '' ? null : 'bad-chunk-end'
  }

  #takeSize(line: string): RefusalCode | null {
    const semicolon = line.indexOf(';')
    const digits = semicolon === -1 ? line : line.slice(0, semicolon)
    const size = digits.length <= MAX_SIZE_DIGITS && HEX_DIGITS.test(digits) ? Number.parseInt(digits, 16) : Number.NaN
    if (!Number.isSafeInteger(size)) return 'bad-chunk-size'
    if (semicolon !== -1) {
      this.#extensionBytes += line.length - semicolon
      if (this.#extensionBytes > MAX_EXTENSION_BYTES) return 'chunk-extensions-too-long'
      if (!EXTENSIONS.test(line.slice(semicolon))) return 'bad-chunk-extension'
    }
    this.#missingBytes = size
    this.#part = size === 0 ? 'trailers' : 'data'
    return null
  }

  #takeTrailer(line: string): RefusalCode | null {
    if (line === '') {
      this.#part = 'done'
      return null
    }
    this.#trailerBytes += line.length + CRLF_LENGTH
    if (this.#trailerBytes > MAX_TRAILER_BYTES) return 'trailers-too-long'
    if (malformation(`\r\n${line}`) !== null) return 'bad-trailer'
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const field = fieldOf(name)
    if (changesMessage(field)) return 'forbidden-trailer'
    if (mayBeTrailer(field, name)) this.trailers.push(name, trimmedSlice(line, colon + 1, line.length))
    return null
  }
}

const HEX_DIGITS = /^[\dA-Fa-f]+$/

/** The beginning of a size line and of a trailer line. A bare LF at the end gets a refusal of its own. */
const SIZE_BEGIN = /^(?:[\dA-Fa-f]{1,16}(?:;|\r?\n?$)|\r?\n?$)/
const TRAILER_BEGIN = /^(?:[!#$%&'*+\-.^_`|~\dA-Za-z]+(?::|$)|\r?\n?$)/

/** `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112 §7.1.1 calls bad. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~\dA-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~\dA-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)+$/

function changesMessage(field: Field): boolean {
  switch (field) {
    case FIELD.contentLength:
    case FIELD.transferEncoding:
    case FIELD.host:
    case FIELD.connection:
    case FIELD.upgrade:
    case FIELD.hopByHop:
      return true
    default:
      return false
  }
}

/** Whether a field of this name may go on as a trailer. */
export function mayBeTrailer(field: Field, name: string): boolean {
  return field < FIELD.connection && !NOT_IN_TRAILERS.has(name.toLowerCase())
}

/** RFC 9110 §6.5.1: request modifiers, authentication, content format, response control. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'range',
  'retry-after',
  'set-cookie',
  'trailer',
  'vary',
  'warning',
  'www-authenticate',
])
