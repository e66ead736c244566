/**
 * Sends a file in the place of an answer that names one (`X-Accel-Redirect`, `X-Sendfile`): takes the head, drops the
 * body, and when the application is done, sends the file as `static/files.ts` decides, with ranges and conditions. Put
 * before the client by `answer-stages.ts`.
 *
 * What must stay true: nothing of the application's answer reaches the client before the file is open, so what cannot
 * be served is an ordinary error; the field that named the file never goes out.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import { codeOf } from '../../kit/ground/failure.js'
import type { AnswerSink, AnswerStage, Exchange } from '../exchange/exchange.js'
import { type AnswerHead, isBadHead, printAnswerHead } from '../http/answer-head.js'
import { NO_CONDITIONS } from '../http/conditions.js'
import type { ErrorCode } from '../http/error-response.js'
import { HeadCollector } from '../http/head-collector.js'
import { httpDate } from '../http/http-date.js'
import { type ByteSink, copyFileTo, type FileCopy } from '../static/copy.js'
import { answerFromDisk } from '../static/disk-answer.js'
import { errorIn, type StaticAnswer } from '../static/files.js'
import type { OpenFile } from '../static/open-file.js'
import { factsOf, fieldsWithFile, namedFile, wordsFor } from './named-file.js'
import type { StageEvents } from './stage-events.js'

/** So much of the application's own body is waited for; behind a longer one the request is taken from it. */
const MAX_DROPPED_BYTES = 1024 * 1024

export class FileStage implements AnswerStage {
  readonly #exchange: Exchange
  readonly #settings: Pick<ProxySettings, 'fileRoots' | 'staticSafe'>
  readonly #events: StageEvents
  readonly #next: AnswerSink
  /** A stage behind this one, which may compress the file. */
  readonly #nextStage: AnswerStage | null
  readonly #collector: HeadCollector
  #head: AnswerHead | null = null
  #droppedBytes = 0
  #copy: FileCopy | null = null
  #isServing = false
  #isOver = false
  #sentBytes = 0

  constructor(exchange: Exchange, settings: Pick<ProxySettings, 'fileRoots' | 'staticSafe'>, events: StageEvents) {
    this.#exchange = exchange
    this.#settings = settings
    this.#events = events
    this.#next = exchange.out
    this.#nextStage = exchange.stage
    this.#collector = new HeadCollector(exchange.head.method)
  }

  get sentBytes(): number {
    return this.#nextStage?.sentBytes ?? this.#sentBytes
  }

  write(bytes: string | Buffer): boolean {
    // The link has begun the answer; the client has seen nothing of it.
    if (!this.#isServing) this.#exchange.answerBegun = false
    if (this.#head === null) {
      const collected = this.#collector.take(bytes)
      if (collected === null) return true
      if (isBadHead(collected.head)) this.#events.badAnswer(this.#exchange, collected.head.bad)
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

  /** What is written here is dropped: there is never anything to wait for. */
  whenWritable(callback: () => void): void {
    callback()
  }

  end(close: boolean): void {
    if (this.#isServing || this.#isOver) return
    if (this.#head === null) return this.#events.badAnswer(this.#exchange, 'its head has no end')
    this.#isServing = true
    this.#serve(this.#head, close).catch(error => this.#failWith(error))
  }

  destroy(): void {
    this.#isOver = true
    this.#copy?.cancel()
    this.#nextStage?.destroy()
  }

  async #serve(head: AnswerHead, close: boolean): Promise<void> {
    const named = namedFile(head, this.#settings.fileRoots)
    if (typeof named === 'string') return this.#refuse(head, 'not-found', named)
    const request = this.#exchange.head
    // As in nginx, the file is got whatever the request's method was.
    const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
    const asked = { method, conditions: request.conditions ?? NO_CONDITIONS }
    const found = await answerFromDisk(named, asked, this.#settings.staticSafe, factsOf(head, named.path))
    if (found.kind === 'answer') {
      if (this.#isOver) found.file?.close()
      else await this.#send(head, found.answer, found.file, close)
    } else if (this.#isOver) return
    else if (found.kind === 'forbidden') this.#refuse(head, 'forbidden', 'it may not be read')
    else this.#refuse(head, 'not-found', 'there is no such file')
  }

  async #send(
    head: AnswerHead,
    answer: StaticAnswer,
    file: OpenFile | null,
    applicationCloses: boolean,
  ): Promise<void> {
    const exchange = this.#exchange
    const error = errorIn(answer)
    if (error !== null) return this.#events.failed(exchange, error.code, error.fields)
    const close = applicationCloses || exchange.client.closingNow
    exchange.status = answer.status
    const fields = fieldsWithFile(head, answer.status, answer.headers)
    fields.unshift(['Date', httpDate()])
    fields.push(['Connection', close ? 'close' : 'keep-alive'])
    const text = printAnswerHead(answer.status, fields)
    if (file === null) {
      this.#give(text)
      return this.#finish(close)
    }
    this.#copy = copyFileTo(file, answer.body, this.#sink, text)
    const end = await this.#copy.finished
    if (end.ending === 'complete') this.#finish(close)
    else if (end.ending === 'failed') this.#failWith(end.failure)
  }

  get #sink(): ByteSink {
    return {
      write: chunk => this.#give(chunk),
      whenWritable: callback => this.#next.whenWritable(callback),
      // Another stage may still hold what it was given.
      isFlushedWhenWritable: this.#nextStage === null,
    }
  }

  #give(bytes: string | Buffer): boolean {
    if (this.#nextStage === null) this.#exchange.answerBegun = true
    this.#sentBytes += bytes.length
    return this.#next.write(bytes)
  }

  #finish(close: boolean): void {
    if (this.#isOver) return
    if (this.#nextStage === null) this.#events.finished(this.#exchange, close)
    else this.#nextStage.end(close)
  }

  #refuse(head: AnswerHead, code: ErrorCode, why: string): void {
    this.#events.fileRefused(this.#exchange, wordsFor(head) ?? '', why)
    this.#events.failed(this.#exchange, code)
  }

  /** A file that cannot be read, or one that became shorter while it was sent. */
  #failWith(error: unknown): void {
    const code = codeOf(error)
    if (code !== 'no-files' && code !== 'file-unreadable' && code !== 'file-truncated') throw error
    if (!this.#isOver) this.#events.failed(this.#exchange, code === 'no-files' ? code : 'file-unreadable')
  }
}
