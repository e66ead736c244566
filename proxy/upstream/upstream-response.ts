/**
 * A foreign upstream's response on its way to the client, as HTTP/1.1 with framing made by the proxy.
 *
 * Everything leaves for the client through `#flush`. Bytes of one read of the upstream's socket leave in one write.
 */

import type { Exchange } from '../exchange/exchange.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { titleOf } from '../http/error-response.js'
import { httpDate } from '../http/http-date.js'
import { monotonicMs } from '../process/clock.js'
import { hasField, printTrailers, type RawFields, type ResponseHead } from './upstream-head.js'

/**
 * Response bytes up to this many in all are gathered in one latin1 string; a larger piece leaves as the buffer that it
 * came in.
 */
const GATHERED_BYTES = 16 * 1024

type Framing = 'none' | 'length' | 'chunked' | 'until-close'

export class UpstreamResponse {
  readonly #exchange: Exchange
  readonly #framing: Framing
  readonly #head: ResponseHead
  readonly #onWritable: () => void
  /** The client's connection ends with the response; decided when the head is written. */
  close = false
  #isHeadOut = false
  #isWhole = false
  #gathered = ''
  #isScheduled = false
  #isWaiting = false

  /** Begins the response. `onWritable`: the client has taken its bytes after `data` was false. */
  constructor(exchange: Exchange, head: ResponseHead, onWritable: () => void) {
    this.#exchange = exchange
    this.#onWritable = onWritable
    this.#head = head
    this.#framing = framingOf(exchange, head)
    exchange.beginResponse(head.status, monotonicMs())
    exchange.responseUntilClose = this.#framing === 'until-close'
    this.#schedule()
  }

  /**
   * A response that is whole before its head is written comes without the rest of the request: that may be too much to
   * read for the sake of the connection.
   */
  #printHead(): string {
    this.#isHeadOut = true
    const { client, addedFields } = this.#exchange
    this.close = this.#framing === 'until-close' || (this.#isWhole ? client.closingNow : client.closing)
    return printHead(this.#head, addedFields, this.#framing, this.close)
  }

  /** False: no more before `onWritable`. */
  data(bytes: Buffer): boolean {
    if (this.#framing === 'none') return true
    const isChunked = this.#framing === 'chunked'
    if (isChunked) this.#gathered += `${bytes.length.toString(16)}\r\n`
    if (this.#gathered.length + bytes.length <= GATHERED_BYTES) this.#gathered += bytes.latin1Slice()
    else {
      this.#flush()
      this.#write(bytes)
    }
    if (isChunked) this.#gathered += '\r\n'
    this.#schedule()
    return !this.#isWaiting
  }

  end(trailers: RawFields): void {
    this.#isWhole = true
    if (this.#framing === 'chunked') this.#gathered += `0\r\n${printTrailers(trailers)}\r\n`
    this.#flush()
  }

  /**
   * There will be no more bytes: the client gets those that are here, and has to see that the response is not complete.
   */
  interrupt(): void {
    this.#flush()
  }

  /** When the reader of the upstream's socket has handled its read. */
  #schedule(): void {
    if (this.#isScheduled || (this.#isHeadOut && this.#gathered === '')) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      if (!this.#exchange.finished) this.#flush()
    })
  }

  #flush(): void {
    const text = this.#isHeadOut ? this.#gathered : this.#printHead() + this.#gathered
    this.#gathered = ''
    if (text !== '') this.#write(text)
  }

  #write(bytes: string | Buffer): void {
    const { out } = this.#exchange
    this.#exchange.sentBytes += bytes.length
    if (out.write(bytes) || this.#isWaiting) return
    this.#isWaiting = true
    out.whenWritable(() => {
      this.#isWaiting = false
      if (!this.#exchange.finished) this.#onWritable()
    })
  }
}

function framingOf({ head: { httpMinor } }: AskedRequest, { bodiless, lengthBytes }: ResponseHead): Framing {
  if (bodiless) return 'none'
  if (lengthBytes !== null) return 'length'
  // RFC 9112 §6.1: a client of HTTP/1.0 knows no chunks.
  return httpMinor === 0 ? 'until-close' : 'chunked'
}

function printHead(
  { status, fields, lengthBytes }: ResponseHead,
  ownLines: string,
  framing: Framing,
  close: boolean,
): string {
  // RFC 9110 §6.6.1: a recipient with a clock adds a missing date.
  const date = hasField(fields, 'date') ? '' : `Date: ${httpDate()}\r\n`
  const length = lengthBytes === null ? '' : `Content-Length: ${lengthBytes}\r\n`
  const coding = framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
  return `HTTP/1.1 ${titleOf(status)}\r\n${ownLines}${date}${fields}${length}${coding}Connection: ${close ? 'close' : 'keep-alive'}\r\n\r\n`
}
