/**
 * The fields that the proxy adds to a response: X-Request-Id (`request-id-answer`) and the cookie of `sticky`. They go
 * behind the status line: `exchange/response-pieces.ts` puts them into the response of an application without parsing
 * it, `upstream-response.ts` into that of a foreign upstream.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { stickyLine } from '../route/sticky-cookie.js'

/**
 * Whole field lines, each with its CRLF, for a response of the worker of `exchange.slot`, or of a foreign upstream (0),
 * which sets cookies of its own. Mostly empty.
 */
export function addedFields(
  { requestId, slot, head, origin }: AskedRequest & Pick<Exchange, 'slot'>,
  { sticky, requestIdAnswer }: Pick<ProxySettings, 'sticky' | 'requestIdAnswer'>,
): string {
  if (sticky === null && !requestIdAnswer) return ''
  const id = requestIdAnswer ? `X-Request-Id: ${requestId}\r\n` : ''
  return sticky === null || slot === 0 ? id : id + stickyLine(head, sticky, slot, origin.encrypted)
}

/** For a response of the proxy's own. A request that was never on its way to an upstream has no id. */
export function requestIdField({ requestId }: AskedRequest): [name: string, value: string][] {
  return requestId === '' ? [] : [['X-Request-Id', requestId]]
}
