/**
 * `/metrics` through the proxy (`metrics-path`): checks the password here and asks the master for the text, so the master reads nothing from a
 * public client. One per proxy; `phases.ts` asks, `proxy-server.ts` brings the master's answers.
 */

import { BasicAuth } from '../kit/basic-auth.js'
import { errorAnswer, type OwnAnswer } from './error-response.js'
import type { Exchange } from './exchange.js'
import { headerValue } from './request-head.js'

const MASTER_MS = 5000
/** Scrapes that may wait for the master at once. */
const MOST_WAITING = 16

export class MetricsPage {
  readonly #ask: (requestId: number) => void
  readonly #waiting = new Map<number, (text: string | null) => void>()
  #auth: { of: string; check: BasicAuth } | null = null
  #lastId = 0

  /** `ask` sends `metrics-wanted` to the master. */
  constructor(ask: (requestId: number) => void) {
    this.#ask = ask
  }

  /** `user:hash`, or null: open. */
  set auth(userAndHash: string | null) {
    if (this.#auth?.of === userAndHash) return
    this.#auth = userAndHash === null ? null : { of: userAndHash, check: new BasicAuth(userAndHash) }
  }

  /** The master's answer to `ask`. */
  arrived(requestId: number, text: string): void {
    this.#waiting.get(requestId)?.(text)
  }

  async answer(exchange: Exchange): Promise<OwnAnswer> {
    const { head } = exchange
    if (head.method !== 'GET' && head.method !== 'HEAD')
      return errorAnswer('method-not-allowed', [['Allow', 'GET, HEAD']])
    if (this.#auth !== null && !(await this.#auth.check.check(headerValue(head, 'authorization')))) {
      return errorAnswer('unauthorized', [['WWW-Authenticate', 'Basic realm="metrics", charset="UTF-8"']])
    }
    const text = this.#waiting.size < MOST_WAITING ? await this.#fetch() : null
    if (text === null) return errorAnswer('no-metrics')
    return { status: 200, fields: [['Content-Type', 'text/plain; version=0.0.4; charset=utf-8']], body: text }
  }

  #fetch(): Promise<string | null> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise(resolve => {
      const done = (text: string | null) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(text)
      }
      const timer = setTimeout(done, MASTER_MS, null)
      this.#waiting.set(id, done)
      this.#ask(id)
    })
  }
}
