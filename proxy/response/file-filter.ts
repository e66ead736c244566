/**
 * Sends a file in the place of a response that names one (`X-Accel-Redirect`, `X-Sendfile`). The filter takes the head,
 * drops the body, and when the application is done, sends the file as `static/files.ts` decides, with ranges and
 * conditions.
 *
 * What must stay true: nothing of the application's response reaches the client before the file is open, so a file that
 * cannot be served is an ordinary error. The field that named the file never goes out.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import { codeOf } from '../../kit/ground/failure.js'
import type { BodyFilter, ResponseSink } from '../exchange/client.js'
import type { Exchange } from '../exchange/exchange.js'
import { NO_CONDITIONS } from '../http/conditions.js'
import type { ErrorCode } from '../http/error-response.js'
import { HeadCollector } from '../http/head-collector.js'
import { httpDate } from '../http/http-date.js'
import { isBadHead, printResponseHead, type ResponseHead } from '../http/response-head.js'
import { type ByteSink, copyFileTo, type FileCopy } from '../static/copy.js'
import { responseFromDisk } from '../static/disk-response.js'
import { errorIn, type StaticResponse } from '../static/files.js'
import type { OpenFile } from '../static/open-file.js'
import type { FilterEvents } from './filter-events.js'
import { factsOf, fieldsWithFile, namedFile, wordsFor } from './named-file.js'

/**
 * The most bytes of the application's own body that are awaited. If the body is longer, the request is taken from the
 * application.
 */
const MAX_DROPPED_BYTES = 1024 * 1024

export class FileFilter implements BodyFilter {
  readonly #exchange: Exchange
  readonly #settings: Pick<ProxySettings, 'fileRoots' | 'staticSafe'>
  readonly #events: FilterEvents
  readonly #next: ResponseSink
  /** A body filter behind this one, which may compress the file. */
  readonly #nextFilter: BodyFilter | null
  readonly #collector: HeadCollector
  #head: ResponseHead | null = null
  #droppedBytes = 0
  #copy: FileCopy | null = null
  #isServing = false
  #isDestroyed = false
  #sentBytes = 0

  constructor(exchange: Exchange, settings: Pick<ProxySettings, 'fileRoots' | 'staticSafe'>, events: FilterEvents) {
    this.#exchange = exchange
    this.#settings = settings
    this.#events = events
    this.#next = exchange.out
    this.#nextFilter = exchange.bodyFilter
    this.#collector = new HeadCollector(exchange.head.method)
  }

  get sentBytes(): number {
    return this.#nextFilter?.sentBytes ?? this.#sentBytes
  }

  write(bytes: string | Buffer): boolean {
    // The link has begun the response; the client has seen nothing of it.
    if (!this.#isServing) this.#exchange.responseBegun = false
    if (this.#head === null) {
      const collected = this.#collector.take(bytes)
      if (collected === null) return true
      if (isBadHead(collected.head)) this.#events.badResponse(this.#exchange, collected.head.bad)
      else this.#head = collected.head
    } else {
      this.#droppedBytes += bytes.length
      if (this.#droppedBytes > MAX_DROPPED_BYTES) {
        this.#exchange.cancelAttempt()
        this.end(false)
      }
    }
    return true
  }

  /** Written bytes are dropped, so a write never has to wait. */
  whenWritable(callback: () => void): void {
    callback()
  }

  end(close: boolean): void {
    if (this.#isServing || this.#isDestroyed) return
    if (this.#head === null) return this.#events.badResponse(this.#exchange, 'its head has no end')
    this.#isServing = true
    this.#serve(this.#head, close).catch(error => this.#failWith(error))
  }

  destroy(): void {
    this.#isDestroyed = true
    this.#copy?.cancel()
    this.#nextFilter?.destroy()
  }

  async #serve(head: ResponseHead, close: boolean): Promise<void> {
    const named = namedFile(head, this.#settings.fileRoots)
    if (typeof named === 'string') return this.#refuse(head, 'not-found', named)
    const request = this.#exchange.head
    // As in nginx, the file is sent whatever the method of the request was.
    const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
    const asked = { method, conditions: request.conditions ?? NO_CONDITIONS }
    const found = await responseFromDisk(named, asked, this.#settings.staticSafe, factsOf(head, named.path))
    if (found.kind === 'response') {
      if (this.#isDestroyed) found.file?.close()
      else await this.#send(head, found.response, found.file, close)
    } else if (this.#isDestroyed) return
    else if (found.kind === 'forbidden') this.#refuse(head, 'forbidden', 'it may not be read')
    else this.#refuse(head, 'not-found', 'there is no such file')
  }

  async #send(
    head: ResponseHead,
    response: StaticResponse,
    file: OpenFile | null,
    applicationCloses: boolean,
  ): Promise<void> {
    const exchange = this.#exchange
    const error = errorIn(response)
    if (error !== null) return this.#events.failed(exchange, error.code, error.fields)
    const close = applicationCloses || exchange.client.closingNow
    exchange.status = response.status
    const fields = fieldsWithFile(head, response.status, response.headers)
    fields.unshift(['Date', httpDate()])
    fields.push(['Connection', close ? 'close' : 'keep-alive'])
    const text = printResponseHead(response.status, fields)
    if (file === null) {
      this.#give(text)
      return this.#finish(close)
    }
    this.#copy = copyFileTo(file, response.body, this.#sink, text)
    const end = await this.#copy.finished
    if (end.ending === 'complete') this.#finish(close)
    else if (end.ending === 'failed') this.#failWith(end.failure)
  }

  get #sink(): ByteSink {
    const sink: ByteSink = {
      write: chunk => this.#give(chunk),
      whenWritable: callback => this.#next.whenWritable(callback),
    }
    // Another body filter may still hold bytes that it was given.
    if (this.#nextFilter !== null) return sink
    const { client } = this.#exchange
    return {
      ...sink,
      get waitingBytes() {
        return client.waitingBytes
      },
    }
  }

  #give(bytes: string | Buffer): boolean {
    if (this.#nextFilter === null) this.#exchange.responseBegun = true
    this.#sentBytes += bytes.length
    return this.#next.write(bytes)
  }

  #finish(close: boolean): void {
    if (this.#isDestroyed) return
    if (this.#nextFilter === null) this.#events.finished(this.#exchange, close)
    else this.#nextFilter.end(close)
  }

  #refuse(head: ResponseHead, code: ErrorCode, why: string): void {
    this.#events.fileRefused(this.#exchange, wordsFor(head) ?? '', why)
    this.#events.failed(this.#exchange, code)
  }

  /** The file cannot be read, or became shorter while it was sent. */
  #failWith(error: unknown): void {
    const code = codeOf(error)
    if (code !== 'no-files' && code !== 'file-unreadable' && code !== 'file-truncated') throw error
    if (!this.#isDestroyed) this.#events.failed(this.#exchange, code === 'no-files' ? code : 'file-unreadable')
  }
}
