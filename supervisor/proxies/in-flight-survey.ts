/**
 * Asks all proxies for their requests in flight, and joins the answers. `daimyo top` shows them. What must stay true: a
 * proxy that does not answer delays the result only by `PATIENCE_MS`.
 */

import type { InFlightRequest, MasterToProxy } from '../../kit/channel/messages.js'

/** The part of a proxy that the survey uses. */
export interface SurveyedProxy {
  proxyId: number
  send(message: MasterToProxy): void
}

interface Open {
  waiting: Set<number>
  found: InFlightRequest[]
  done(): void
}

const PATIENCE_MS = 250

export class InFlightSurvey {
  readonly #open = new Map<number, Open>()
  #last = 0

  /** Resolves with the requests, the oldest first. */
  async ask(proxies: readonly SurveyedProxy[]): Promise<InFlightRequest[]> {
    const requestId = ++this.#last
    const found: InFlightRequest[] = []
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, PATIENCE_MS)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      const waiting = new Set(proxies.map(({ proxyId }) => proxyId))
      if (waiting.size === 0) return done()
      this.#open.set(requestId, { waiting, found, done })
      for (const proxy of proxies) proxy.send({ type: 'in-flight-wanted', requestId })
    })
    this.#open.delete(requestId)
    return found.sort((a, b) => b.ageMs - a.ageMs)
  }

  take(proxyId: number, requestId: number, requests: readonly InFlightRequest[]): void {
    const open = this.#open.get(requestId)
    if (!open?.waiting.delete(proxyId)) return
    open.found.push(...requests)
    if (open.waiting.size === 0) open.done()
  }
}
