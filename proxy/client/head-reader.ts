/**
 * Finds and parses the heads of one connection, and remembers the last one. The requests of a client repeat most of
 * their field lines, as a rule all of them (HTTP/2 compresses heads for this reason). If the field lines are the same
 * to the byte, only the request line is parsed.
 *
 * Measured on Node 20, with the search for the end: a browser's head of 15 fields (584 bytes) costs 1.0 instead of 3.5
 * µs, the shortest heads half.
 */

import { REFUSALS } from '../http/refusal.js'
import {
  type HeadLimits,
  isRefusal,
  overlongHead,
  parseRequestHead,
  type Refusal,
  type RequestHead,
  repeatedHead,
} from '../http/request-head.js'

/** A longer head is not remembered: the memory is held as long as the connection lives. */
const MOST_BYTES = 2048
const SLASH = 47
/** The beginning of a method, or of an empty line. */
const HEAD_BEGIN = /^(?:[!#$%&'*+\-.^_`|~\dA-Za-z]|\r(?:\n|$))/

export class HeadReader {
  #last: RequestHead | null = null
  /** The field lines of the last head, each with its CRLF in front. */
  #lines = ''
  /** The limit that these lines passed. */
  #headerCount = 0
  /** The length in bytes of the last head that was read; 0: no head, or one that is refused for its length. */
  takenBytes = 0

  /** The head at the front of the first `count` bytes, which are not kept; null: the head is not complete yet. */
  read(bytes: Buffer, count: number, limits: HeadLimits & { bufferSizeBytes: number }): RequestHead | Refusal | null {
    const { bufferSizeBytes } = limits
    let start = 0
    // RFC 9112 §2.2: empty lines before a request line are skipped; a bounded number of them.
    while (start < 8 && start + 1 < count && bytes[start] === 13 && bytes[start + 1] === 10) start += 2
    const text = bytes.latin1Slice(start, Math.min(count, start + bufferSizeBytes + 4))
    const end = text.indexOf('\r\n\r\n')
    const isWhole = end >= 0 && end <= bufferSizeBytes
    this.takenBytes = isWhole ? start + end + 4 : 0
    if (isWhole) return this.parse(text, end, limits)
    // A client of another protocol, such as TLS, waits for a response to its first bytes.
    if (text !== '' && !HEAD_BEGIN.test(text)) return REFUSALS['bad-method']
    return text.length > bufferSizeBytes ? overlongHead(text) : null
  }

  /** The head is `text` up to `end`, as `parseRequestHead` takes it. */
  parse(text: string, end: number, limits: HeadLimits): RequestHead | Refusal {
    const head = text.slice(0, end)
    const last = this.#last
    if (last !== null && head.endsWith(this.#lines) && this.#headerCount === limits.httpHeaderCount) {
      const repeated = repeatedHead(last, head.slice(0, end - this.#lines.length), limits)
      if (repeated !== null) return repeated
    }
    const parsed = parseRequestHead(head, limits)
    // A part of `text` keeps all of it in memory.
    if (!isRefusal(parsed) && text.length <= MOST_BYTES && isOriginForm(parsed, head))
      this.#remember(parsed, head, limits)
    return parsed
  }

  /** No other head will come. */
  forget(): void {
    this.#last = null
    this.#lines = ''
  }

  #remember(parsed: RequestHead, head: string, limits: HeadLimits): void {
    const lineEnd = head.indexOf('\r\n')
    this.#last = parsed
    this.#lines = lineEnd < 0 ? '' : head.slice(lineEnd)
    this.#headerCount = limits.httpHeaderCount
  }
}

/** Another form of the target changes the fields. */
function isOriginForm({ method }: RequestHead, head: string): boolean {
  return head.charCodeAt(method.length + 1) === SLASH
}
