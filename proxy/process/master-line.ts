/**
 * The messages of a proxy to the master. Must stay true: nothing that clients or applications do often fills the
 * channel. Events have a budget, and while the master does not read, events and the metrics of this second are left
 * out: the master gets newer ones later. Other messages are never left out.
 */

import type { Channel } from '../../kit/channel/channel.js'
import { cutFields, PROXY_EVENTS, type ProxyEventName, type ToldFields } from '../../kit/channel/child-events.js'
import type { ProxyToMaster } from '../../kit/channel/messages.js'
import { EventBudget } from './event-budget.js'

/** Far below the 64 MB at which the channel is given up (`kit/channel/channel.ts`). */
const MOST_WAITING_BYTES = 4 * 1024 * 1024

export class MasterLine {
  readonly #channel: Pick<Channel, 'send' | 'waitingBytes'>
  readonly #now: () => number
  readonly #budget = new EventBudget()

  /** `now`: in milliseconds, never backwards. */
  constructor(channel: Pick<Channel, 'send' | 'waitingBytes'>, now: () => number) {
    this.#channel = channel
    this.#now = now
  }

  /** The master has not read earlier messages: a message that a later one can replace is not to be sent now. */
  get isBehind(): boolean {
    return this.#channel.waitingBytes > MOST_WAITING_BYTES
  }

  /** `sent` is called when the kernel has the message, or the channel has ended. */
  tell(message: ProxyToMaster, sent?: () => void): void {
    this.#channel.send(message, Number.POSITIVE_INFINITY, sent)
  }

  /**
   * For the log of the master. Texts that are too long are cut, and the next event of the same name says how many were
   * left out.
   */
  event(event: ProxyEventName, fields: ToldFields): void {
    const nowMs = this.#now()
    if (this.isBehind) return this.#budget.omit(event, nowMs)
    const omitted = this.#budget.admit(event, nowMs)
    if (omitted === null) return
    const counted = omitted === 0 ? fields : { ...fields, omitted }
    this.tell({ type: 'event', event, fields: cutFields(PROXY_EVENTS, event, counted) })
  }
}
