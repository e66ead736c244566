/** The events of a body filter about its exchange. A filter reports nothing after it was destroyed. */

import type { Exchange } from '../exchange/exchange.js'
import type { ErrorCode, OwnResponse } from '../http/error-response.js'

export interface FilterEvents {
  /** The whole response has been given to the client. `close`: the connection ends with it. */
  finished(exchange: Exchange, close: boolean): void
  /** `fields`: for the head of the error response. */
  failed(exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']): void
  /** The bytes are no response, or clients could read them in different ways. */
  badResponse(exchange: Exchange, why: string): void
  /** `coding`: `none` if too many compressors were open. */
  compressed(coding: string): void
  /** The file that the application named is not sent. `file`: the application's own words. */
  fileRefused(exchange: Exchange, file: string, why: string): void
}
