/**
 * `/metrics` through the proxy (`metrics-path`): checks the password here and asks the master for the text, so the
 * master reads nothing from a public client. One per proxy.
 *
 * The page may be megabytes, and anybody may ask for it: all waiting scrapes share one question to the master and one
 * Buffer, and only a few responses are under way at once (`ResponseSlots`).
 */

import { BasicAuth } from '../../kit/page/basic-auth.js'
import { ResponseSlots } from '../../kit/page/response-slots.js'
import { SharedPage } from '../../kit/page/shared-page.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { errorResponse, type OwnResponse } from '../http/error-response.js'
import { headerValue } from '../http/request-head.js'

const MASTER_MS = 5000

export class MetricsPage {
  readonly #ask: (requestId: number) => void
  readonly #slots = new ResponseSlots()
  readonly #page = new SharedPage(() => this.#fetch())
  #auth: { of: string; check: BasicAuth } | null = null
  #lastId = 0
  /** Takes the master's answer to the last question. */
  #awaited: ((text: string) => void) | null = null

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
    if (requestId === this.#lastId) this.#awaited?.(text)
  }

  /** The response; one with metrics has a slot. */
  async respond({ head, origin }: AskedRequest): Promise<OwnResponse> {
    if (head.method !== 'GET' && head.method !== 'HEAD')
      return errorResponse('method-not-allowed', [['Allow', 'GET, HEAD']])
    const { address } = origin
    const verdict = (await this.#auth?.check.check(headerValue(head, 'authorization'), address)) ?? 'right'
    if (verdict === 'busy') return errorResponse('passwords-busy')
    if (verdict === 'wrong')
      return errorResponse('unauthorized', [['WWW-Authenticate', 'Basic realm="metrics", charset="UTF-8"']])
    const slot = await this.#slots.enter(address)
    if (slot === null) return errorResponse('metrics-busy')
    try {
      const body = await this.#page.get()
      return { status: 200, fields: [['Content-Type', 'text/plain; version=0.0.4; charset=utf-8']], body, slot }
    } catch {
      // The master was silent for too long: its log and the deadline of the proxies say more than an error here could.
      slot.leave()
      return errorResponse('no-metrics')
    }
  }

  #fetch(): Promise<Buffer> {
    this.#lastId += 1
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the master was silent for ${MASTER_MS} ms`)), MASTER_MS)
      this.#awaited = text => {
        clearTimeout(timer)
        this.#awaited = null
        resolve(Buffer.from(text))
      }
      this.#ask(this.#lastId)
    })
  }
}
