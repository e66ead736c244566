/**
 * What a body filter tells of its exchange. Implemented by `body-filters.ts`; a body filter tells nothing after it was
 * destroyed.
 */

import type { Exchange } from '../exchange/exchange.js'
import type { ErrorCode, OwnResponse } from '../http/error-response.js'

export interface FilterEvents {
  /** All of the response is with the client; `close`: its end is the end of the connection. */
  finished(exchange: Exchange, close: boolean): void
  /** `fields`: for the head of the error's response. */
  failed(exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']): void
  /** What came is not a response that every client would read in the same way. */
  badResponse(exchange: Exchange, why: string): void
  /** `coding`: `none` where too many compressors were open. */
  compressed(coding: string): void
  /** The file that the application named is not sent; `file`: in its own words. */
  fileRefused(exchange: Exchange, file: string, why: string): void
}
