/**
 * What the proxy adds to an answer: X-Request-Id (`request-id-answer`) and the cookie of `sticky`. Used by `phases.ts`;
 * `exchange/answer-pieces.ts` puts the lines behind the status line of the application's answer, which is not taken
 * apart for it, `upstream-answer.ts` behind that of a foreign upstream's.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import { stickyLine } from '../route/sticky-cookie.js'

/**
 * Whole field lines, each with its CRLF, for an answer of that slot's worker, or of a foreign upstream (null), whose
 * cookies are its own; mostly none.
 */
export function answerLines(
  exchange: Exchange,
  slot: number | null,
  { sticky, requestIdAnswer }: Pick<ProxySettings, 'sticky' | 'requestIdAnswer'>,
): string {
  if (sticky === null && !requestIdAnswer) return ''
  const id = requestIdAnswer ? `X-Request-Id: ${exchange.requestId}\r\n` : ''
  return sticky === null || slot === null ? id : id + stickyLine(exchange.head, sticky, slot, exchange.origin.encrypted)
}

/** For an answer of the proxy's own; a request that never was on its way to an upstream has no id. */
export function requestIdField({ requestId }: Exchange): [name: string, value: string][] {
  return requestId === '' ? [] : [['X-Request-Id', requestId]]
}
