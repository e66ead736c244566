/**
 * Compresses a response on its way to the client, if it may be compressed. One per exchange while compression is
 * configured.
 *
 *     head → held → passing            (bytes as they came)
 *                 → compressing → destroyed
 *
 * What must stay true: an incomplete response never gets its last chunk, so the client sees that it is incomplete. At
 * most the content of the compressor and of its two stream buffers waits here: a client that does not read stops the
 * compressor, which stops the link's credit.
 */

import type { ContentCoding } from '../../kit/options/values/value-types.js'
import type { BodyFilter, ResponseSink } from '../exchange/client.js'
import type { Exchange } from '../exchange/exchange.js'
import {
  codedFields,
  forbidsTransformation,
  isCompressible,
  negotiateCoding,
  notModifiedFields,
  varyingFields,
} from '../http/content-coding.js'
import { HeadCollector } from '../http/head-collector.js'
import { headerValue } from '../http/request-head.js'
import { ResponseBody } from '../http/response-body.js'
import { isBadHead, printResponseHead, type ResponseField, type ResponseHead } from '../http/response-head.js'
import { type Compressor, type Compressors, flushCompressor } from '../process/compressor.js'
import type { FilterEvents } from './filter-events.js'

export class CompressionFilter implements BodyFilter {
  readonly #exchange: Exchange
  readonly #next: ResponseSink
  readonly #compressors: Compressors
  readonly #events: FilterEvents
  readonly #collector: HeadCollector
  #phase: 'head' | 'held' | 'passing' | 'compressing' | 'destroyed' = 'head'
  #head: ResponseHead | null = null
  /** Framed bytes behind the head, until it is decided whether to compress them. */
  #held: Buffer[] = []
  #coding: ContentCoding = 'gzip'
  #body: ResponseBody | null = null
  #compressor: Compressor | null = null
  /** The printed head, until it is written with the first bytes of the body. */
  #prefix = ''
  #close = false
  sentBytes = 0

  constructor(exchange: Exchange, compressors: Compressors, events: FilterEvents) {
    this.#exchange = exchange
    this.#next = exchange.out
    this.#compressors = compressors
    this.#events = events
    this.#collector = new HeadCollector(exchange.head.method)
  }

  write(bytes: string | Buffer): boolean {
    switch (this.#phase) {
      case 'head':
        return this.#takeHead(bytes)
      case 'held':
        this.#held.push(asBuffer(bytes))
        return true
      case 'passing':
        return this.#give(bytes)
      case 'compressing':
        return this.#compress(asBuffer(bytes))
      case 'destroyed':
        return true
    }
  }

  whenWritable(callback: () => void): void {
    if (this.#compressor === null) this.#next.whenWritable(callback)
    else this.#compressor.once('drain', callback)
  }

  end(close: boolean): void {
    this.#close = close
    if (this.#phase === 'head') return this.#refuse('its head has no end')
    if (this.#phase === 'held') this.#decide(true)
    if (this.#phase === 'passing') return this.#events.finished(this.#exchange, close)
    if (this.#phase !== 'compressing' || this.#compressor === null) return
    if (this.#body?.isComplete === false && this.#head?.framing !== 'close')
      return this.#refuse('its body is cut short')
    this.#compressor.end()
  }

  destroy(): void {
    this.#phase = 'destroyed'
    this.#held = []
    this.#compressor?.destroy()
  }

  #takeHead(bytes: string | Buffer): boolean {
    // The link has begun the response; the client has seen nothing of it.
    this.#exchange.responseBegun = false
    const collected = this.#collector.take(bytes)
    if (collected === null) return true
    const { head, rest } = collected
    if (isBadHead(head)) {
      this.#refuse(head.bad)
      return true
    }
    this.#head = head
    this.#held = [rest]
    this.#phase = 'held'
    // Without a length, the end of this turn shows whether the whole response is here, and small.
    if (head.framing === 'chunked' || head.framing === 'close') queueMicrotask(() => this.#decide(false))
    else this.#decide(false)
    return !this.#isFull
  }

  get #isFull(): boolean {
    return this.#compressor?.writableNeedDrain === true
  }

  /** `isWhole`: the held bytes are the whole body. */
  #decide(isWhole: boolean): void {
    if (this.#phase !== 'held' || this.#head === null) return
    const head = this.#head
    const held = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held)
    this.#held = []
    const isFit = (!isWhole || held.length >= this.#compressors.minBytes) && isCompressible(head, this.#compressors)
    const coding = isFit ? this.#clientCoding : null
    if (coding !== null && head.framing === 'none') return this.#passHead(head, coding)
    const compressor = coding === null ? null : this.#compressors.make(coding)
    if (coding !== null) this.#events.compressed(compressor === null ? 'none' : coding)
    if (coding !== null && compressor !== null) return this.#begin(head, coding, compressor, held)
    this.#phase = 'passing'
    this.#give(printResponseHead(head.status, this.#plainFields(head, isFit), head.reason))
    if (held.length > 0) this.#give(held)
  }

  /**
   * A response to HEAD has the fields that the response to GET would have (RFC 9110 §9.3.2). Without a length it is
   * taken for a long one.
   */
  #passHead(head: ResponseHead, coding: ContentCoding): void {
    this.#phase = 'passing'
    this.#give(printResponseHead(head.status, codedFields(head.fields, coding), head.reason))
  }

  #plainFields(head: ResponseHead, isFit: boolean): ResponseField[] {
    // Another client gets the response compressed, and a cache in between must know.
    if (isFit) return varyingFields(head.fields)
    if (head.status !== 304) return head.fields
    const ifNoneMatch = this.#exchange.head.conditions?.['if-none-match']
    return notModifiedFields(head, this.#compressors.types, ifNoneMatch, this.#clientCoding !== null)
  }

  /** The coding that the client prefers; null: it gets the response as it is. */
  get #clientCoding(): ContentCoding | null {
    const request = this.#exchange.head
    if (forbidsTransformation(headerValue(request, 'cache-control'))) return null
    // HTTP/1.0 has no chunks.
    if (request.httpMinor === 0) return null
    // A client that refuses even an uncoded response gets it all the same, as with nginx: better than a 406 (RFC 9110
    // §12.5.3).
    const coding = negotiateCoding(headerValue(request, 'accept-encoding'), this.#compressors.choices)
    return coding === 'identity' ? null : coding
  }

  #begin(head: ResponseHead, coding: ContentCoding, compressor: Compressor, held: Buffer): void {
    this.#phase = 'compressing'
    this.#coding = coding
    this.#compressor = compressor
    this.#body = new ResponseBody(head)
    this.#prefix = printResponseHead(head.status, codedFields(head.fields, coding), head.reason)
    compressor.on('data', (chunk: Buffer) => this.#emit(chunk))
    compressor.once('end', () => this.#endBody())
    // An error of zlib would be a fault of ours. The client must see that the response is not complete.
    compressor.once('error', () => this.#refuse('it could not be compressed'))
    // A head that comes alone is meant to arrive alone: that of an event stream, for example.
    if (held.length === 0) this.#give(this.#takePrefix())
    else this.#compress(held)
  }

  #compress(bytes: Buffer): boolean {
    const compressor = this.#compressor
    if (compressor === null) return true
    const isFramed = this.#body?.feed(bytes, data => compressor.write(data, this.#flushWhenIdle))
    if (isFramed === false) this.#refuse('its body is not framed as its head says')
    return !this.#isFull
  }

  /** When the link brings nothing more, the bytes so far go out. With a known length nobody waits for a part. */
  readonly #flushWhenIdle = (): void => {
    const compressor = this.#compressor
    if (compressor === null || this.#phase !== 'compressing' || this.#head?.framing === 'length') return
    if (compressor.writableLength === 0 && !compressor.writableEnded) flushCompressor(compressor, this.#coding)
  }

  #emit(chunk: Buffer): void {
    if (this.#phase !== 'compressing' || chunk.length === 0) return
    const compressor = this.#compressor
    const begin = Buffer.from(`${this.#takePrefix()}${chunk.length.toString(16)}\r\n`, 'latin1')
    if (this.#give(Buffer.concat([begin, chunk, CRLF])) || compressor === null) return
    compressor.pause()
    this.#next.whenWritable(() => compressor.resume())
  }

  #endBody(): void {
    if (this.#phase !== 'compressing') return
    const trailers = this.#body?.trailers ?? []
    let text = `${this.#takePrefix()}0\r\n`
    for (let index = 0; index < trailers.length; index += 2) text += `${trailers[index]}: ${trailers[index + 1]}\r\n`
    this.#give(`${text}\r\n`)
    this.#events.finished(this.#exchange, this.#close)
  }

  #takePrefix(): string {
    const prefix = this.#prefix
    this.#prefix = ''
    return prefix
  }

  #give(bytes: string | Buffer): boolean {
    this.#exchange.responseBegun = true
    this.sentBytes += bytes.length
    return this.#next.write(bytes)
  }

  #refuse(why: string): void {
    if (this.#phase !== 'destroyed') this.#events.badResponse(this.#exchange, why)
  }
}

const CRLF = Buffer.from('\r\n')

function asBuffer(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
}
