/** Interim responses (1xx) on their way to the client: of workers (`answer-pieces.ts`), of foreign upstreams, and before a WebSocket is open. */

import type { Exchange } from './exchange.js'

export const CONTINUE = 'HTTP/1.1 100 '

/**
 * To a client that does not read goes one of them at most, or those of one turn, or `100 Continue` before it: nothing else bounds how many an application
 * may say.
 */
export function passInterim(exchange: Exchange, head: string): void {
  const { client } = exchange
  if (exchange.interimWaits && !head.startsWith(CONTINUE)) return
  if (client.write(head) || exchange.interimWaits) return
  exchange.interimWaits = true
  client.whenWritable(() => {
    exchange.interimWaits = false
  })
}
