/** An exchange as a worker gets it over the link: the payload of its REQUEST frame. Pure. */

import { encodeRequest, REQUEST_FLAG } from '../../kit/link/frames.js'
import type { Exchange } from '../exchange/exchange.js'

/** `closeAfter`: the response has to say that it is the last one on the client's connection. */
export function requestPayload(exchange: Exchange, closeAfter: boolean): ReturnType<typeof encodeRequest> {
  const { head, origin } = exchange
  const flags =
    (exchange.hasBody ? REQUEST_FLAG.body : 0) |
    (closeAfter ? REQUEST_FLAG.close : 0) |
    (head.httpMinor === 0 ? REQUEST_FLAG.http10 : 0) |
    (origin.encrypted ? REQUEST_FLAG.encrypted : 0) |
    (head.expectContinue && head.httpMinor === 1 && !exchange.continued ? REQUEST_FLAG.expect : 0)
  return encodeRequest(head.method, head.target, exchange.wireHeaders, flags, origin.address, origin.port)
}
