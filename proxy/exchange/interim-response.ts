/**
 * Interim responses (1xx) on their way to the client: of workers (`response-pieces.ts`), of foreign upstreams, and
 * before a WebSocket is open.
 */

import type { Exchange } from './exchange.js'

export const CONTINUE = 'HTTP/1.1 100 '

/**
 * To a client that does not read goes one of them at most, or those of one turn, or `100 Continue` before it: nothing
 * else bounds how many an application may say.
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
 * All interim responses of one request together, each with some bytes for the work that it makes: one every five
 * seconds for half a day.
 */
const MOST_INTERIM_BYTES = 1024 * 1024
const BYTES_PER_INTERIM = 100

/**
 * Whether one more, of so many bytes, goes on. Beyond that they are left out, unread: no client needs them (RFC 9110
 * §15.2).
 */
export function hasInterimRoom(exchange: Pick<Exchange, 'interimBytes'>, bytes: number): boolean {
  exchange.interimBytes += BYTES_PER_INTERIM + bytes
  return exchange.interimBytes <= MOST_INTERIM_BYTES
}
