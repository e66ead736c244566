/**
 * Sends the request of `ready-check` to a new worker, over the worker's own unix socket, until the response is right.
 * It runs from the moment at which the worker listens to the end of its boot, so the start deadline bounds it. What
 * must stay true: it connects as the service's user, who may put a link to another service in the socket's place. If
 * the master would have to wait to become that user, it connects later.
 */

import { type ClientRequest, request, STATUS_CODES } from 'node:http'
import { createConnection } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import type { ReadyCheck } from '../../kit/options/values/value-types.js'
import { asServiceUser, mayBecomeUser } from '../user/service-user.js'

/** `failed` is called only for the first failure. `lastFailure` has the last one. */
export interface ProbeEvents {
  passed(): void
  failed(why: string): void
}

/** Between a response and the next try. */
const RETRY_MS = 200
/** The limit of one response. A fast response may follow a slow first one. */
const ANSWER_MS = 10_000
/** The most bytes of a response's body that are read for its first line. */
const BODY_BYTES = 4096
/** The most interim responses: more would only keep the master busy. */
const MOST_INTERIM = 16
const LINE_CHARS = 200

/** The check of one worker. */
export class ReadyProbe {
  readonly #check: ReadyCheck
  readonly #socketPath: string
  readonly #credentials: Credentials | null
  readonly #events: ProbeEvents
  #request: ClientRequest | null = null
  #timer: NodeJS.Timeout | null = null
  #isStopped = false
  #lastFailure: string | null = null

  /** `credentials`: the identity of the worker. */
  constructor(check: ReadyCheck, socketPath: string, credentials: Credentials | null, events: ProbeEvents) {
    this.#check = check
    this.#credentials = credentials
    this.#socketPath = socketPath
    this.#events = events
    this.#ask()
  }

  /** For example `GET /ready: 503 Service Unavailable: no database`. */
  get lastFailure(): string {
    const { method, path } = this.#check
    return `${method} ${path}: ${this.#lastFailure ?? 'no answer'}`
  }

  /** Ends the probe. Its result is not needed any more. */
  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#request?.destroy()
  }

  #ask(): void {
    if (!mayBecomeUser(this.#credentials)) return this.#askLater()
    const { method, path } = this.#check
    const headers = { host: 'localhost', 'user-agent': 'daimyo-ready-check' }
    const connect = () => asServiceUser(this.#credentials, () => createConnection({ path: this.#socketPath }))
    const asked = request({ createConnection: connect, method, path, headers })
    this.#request = asked
    const deadline = setTimeout(() => asked.destroy(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS)
    asked.on('error', error => this.#settle(asked, reasonOf(error)))
    asked.on('close', () => {
      clearTimeout(deadline)
      this.#settle(asked, 'it closed the connection')
    })
    let interim = 0
    asked.on('information', () => {
      interim += 1
      if (interim > MOST_INTERIM) asked.destroy(new Error(`over ${MOST_INTERIM} interim responses`))
    })
    asked.on('response', response => {
      const { statusCode = 0 } = response
      const [low, high] = this.#check.statuses
      const isRight = statusCode >= low && statusCode <= high
      let body = ''
      const done = () => {
        this.#settle(asked, isRight ? null : describe(statusCode, body))
        asked.destroy()
      }
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length >= BODY_BYTES) done()
      })
      response.on('end', done)
      // The response broke off, but its status counts.
      response.on('error', done)
    })
    asked.end()
  }

  /** Only the first outcome of each request counts. */
  #settle(asked: ClientRequest, failure: string | null): void {
    if (this.#isStopped || this.#request !== asked) return
    this.#request = null
    if (failure === null) {
      this.#isStopped = true
      return this.#events.passed()
    }
    const isFirst = this.#lastFailure === null
    this.#lastFailure = failure
    if (isFirst) this.#events.failed(this.lastFailure)
    this.#askLater()
  }

  #askLater(): void {
    this.#timer = setTimeout(() => this.#ask(), RETRY_MS)
  }
}

function describe(status: number, body: string): string {
  const line = body.trimStart().split('\n', 1)[0] ?? ''
  const text = Buffer.from(line, 'latin1')
    .toString()
    .replace(/[\x00-\x20\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, LINE_CHARS)
  return [`${status} ${STATUS_CODES[status] ?? ''}`.trim(), ...(text === '' ? [] : [text])].join(': ')
}
