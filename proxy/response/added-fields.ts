/**
 * What the proxy adds to a response: X-Request-Id (`request-id-answer`) and the cookie of `sticky`. Used by
 * `request-lifecycle.ts`; `exchange/response-pieces.ts` puts the lines behind the status line of the application's
 * response, which is not taken apart for it, `upstream-response.ts` behind that of a foreign upstream's.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import { stickyLine } from '../route/sticky-cookie.js'

/**
 * Whole field lines, each with its CRLF, for a response of that slot's worker, or of a foreign upstream (null), whose
 * cookies are its own; mostly none.
 */
export function addedFields(
  exchange: Exchange,
  slot: number | null,
  { sticky, requestIdAnswer }: Pick<ProxySettings, 'sticky' | 'requestIdAnswer'>,
): string {
  if (sticky === null && !requestIdAnswer) return ''
  const id = requestIdAnswer ? `X-Request-Id: ${exchange.requestId}\r\n` : ''
  return sticky === null || slot === null ? id : id + stickyLine(exchange.head, sticky, slot, exchange.origin.encrypted)
}

/** For a response of the proxy's own; a request that never was on its way to an upstream has no id. */
export function requestIdField({ requestId }: Exchange): [name: string, value: string][] {
  return requestId === '' ? [] : [['X-Request-Id', requestId]]
}
