/**
 * Asks all proxies for the requests that are in flight in them, and puts the answers together. `daimyo top` shows them.
 * Must stay true: the survey waits for a proxy that does not answer for a moment only.
 */

import type { InFlightRequest, MasterToProxy } from '../../kit/channel/messages.js'

/** What is asked of a proxy here. */
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

  /** The oldest first. */
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
