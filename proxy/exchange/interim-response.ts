/**
 * Interim responses (1xx) on their way to the client: from workers (`response-pieces.ts`), from foreign upstreams, and
 * before a WebSocket is open.
 */

import type { Exchange } from './exchange.js'
import type { ResponseProgress } from './exchange-parts.js'

export const CONTINUE = 'HTTP/1.1 100 '

/**
 * A client that does not read gets at most one of them, or those of one turn, or a `100 Continue` before them. Nothing
 * else bounds how many an application may send.
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

/**
 * The bound on all interim responses of one request, each with some bytes for its cost: one every five seconds for half
 * a day.
 */
const MOST_INTERIM_BYTES = 1024 * 1024
const BYTES_PER_INTERIM = 100

/**
 * Whether one more, of so many bytes, is passed on. Beyond the bound they are dropped unread: no client needs them (RFC
 * 9110 §15.2).
 */
export function hasInterimRoom(exchange: Pick<ResponseProgress, 'interimBytes'>, bytes: number): boolean {
  exchange.interimBytes += BYTES_PER_INTERIM + bytes
  return exchange.interimBytes <= MOST_INTERIM_BYTES
}
