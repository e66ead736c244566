/**
 * The fields that the proxy adds to a response: X-Request-Id (`request-id-answer`) and the cookie of `sticky`. They go
 * behind the status line: `exchange/response-pieces.ts` puts them into the response of an application without parsing
 * it, `upstream-response.ts` into that of a foreign upstream.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import { stickyLine } from '../route/sticky-cookie.js'

/**
 * Whole field lines, each with its CRLF, for a response of this slot's worker, or of a foreign upstream (null), which
 * sets cookies of its own. Mostly empty.
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

/** For a response of the proxy's own. A request that was never on its way to an upstream has no id. */
export function requestIdField({ requestId }: Exchange): [name: string, value: string][] {
  return requestId === '' ? [] : [['X-Request-Id', requestId]]
}
