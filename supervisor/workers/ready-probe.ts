/**
 * Asks a new worker, on its own unix socket, what `ready-check` says, again and again until it answers as it should. It
 * runs from the moment at which the worker listens to the end of the worker's boot, so the start deadline bounds it.
 * Must stay true: it connects as the service's user, who may put a link to another service in the socket's place; and
 * later where the master would wait to become that user.
 */

import { type ClientRequest, request, STATUS_CODES } from 'node:http'
import { createConnection } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import type { ReadyCheck } from '../../kit/options/values/value-types.js'
import { asServiceUser, mayBecomeUser } from '../user/service-user.js'

/** `failed` is called for the first failure only; the last one is `lastFailure`. */
export interface ProbeEvents {
  passed(): void
  failed(why: string): void
}

/** Between a response and the next try. */
const RETRY_MS = 200
/** For one response; a slow first one may be followed by a quick one. */
const ANSWER_MS = 10_000
/** The most that is read of a response's body, for its first line. */
const BODY_BYTES = 4096
/** Heads of interim responses: more would only keep the master busy. */
const MOST_INTERIM = 16
const LINE_CHARS = 200

/** One worker's check. */
export class ReadyProbe {
  readonly #check: ReadyCheck
  readonly #socketPath: string
  readonly #credentials: Credentials | null
  readonly #events: ProbeEvents
  #request: ClientRequest | null = null
  #timer: NodeJS.Timeout | null = null
  #isStopped = false
  #lastFailure: string | null = null

  /** `credentials`: of the worker. */
  constructor(check: ReadyCheck, socketPath: string, credentials: Credentials | null, events: ProbeEvents) {
    this.#check = check
    this.#credentials = credentials
    this.#socketPath = socketPath
    this.#events = events
    this.#ask()
  }

  /** `GET /ready: 503 Service Unavailable: no database`. */
  get lastFailure(): string {
    const { method, path } = this.#check
    return `${method} ${path}: ${this.#lastFailure ?? 'no answer'}`
  }

  /** Ends the probe: its result is not needed any more. */
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
      // The response broke off; its status counts all the same.
      response.on('error', done)
    })
    asked.end()
  }

  /** Once for each request: the first outcome counts. */
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
