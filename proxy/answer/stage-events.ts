/**
 * What a stage tells of its exchange. Implemented by `answer-stages.ts`; a stage tells nothing after it was destroyed.
 */

import type { Exchange } from '../exchange/exchange.js'
import type { ErrorCode, OwnAnswer } from '../http/error-response.js'

export interface StageEvents {
  /** All of the answer is with the client; `close`: its end is the end of the connection. */
  finished(exchange: Exchange, close: boolean): void
  /** `fields`: for the head of the error's answer. */
  failed(exchange: Exchange, code: ErrorCode, fields?: OwnAnswer['fields']): void
  /** What came is not an answer that every client would read in the same way. */
  badAnswer(exchange: Exchange, why: string): void
  /** `coding`: `none` where too many compressors were open. */
  compressed(coding: string): void
  /** The file that the application named is not sent; `file`: in its own words. */
  fileRefused(exchange: Exchange, file: string, why: string): void
}
