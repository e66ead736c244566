/** The events of a body filter about its exchange. A filter reports nothing after it was destroyed. */

import type { Exchange } from '../exchange/exchange.js'
import type { ResponderEvents } from '../exchange/responder.js'

export interface FilterEvents extends Pick<ResponderEvents, 'failed' | 'badResponse'> {
  /** The whole response has been given to the client. `close`: the connection ends with it. */
  finished(exchange: Exchange, close: boolean): void
  /** `coding`: `none` if too many compressors were open. */
  compressed(coding: string): void
  /** The file that the application named is not sent. `file`: the application's own words. */
  fileRefused(exchange: Exchange, file: string, why: string): void
}
