/** Pieces of a worker's response on their way from the link to the client or to the first body filter before it. */

import { isInterimHead } from '../http/response-head.js'
import type { Exchange } from './exchange.js'
import { CONTINUE, hasInterimRoom, passInterim } from './interim-response.js'
import type { PieceJoiner } from './piece-joiner.js'

/** Pieces up to this size are copied into one latin1 string. */
const COPY_BYTES = 16 * 1024
const HEAD_END = '\r\n\r\n'
const CONNECTION_LINE = /^connection[ \t]*:(.*)$/i

/**
 * The first bytes of a response, with its whole head, changed so that the head ends the connection (RFC 9112 §9.6);
 * null: the head says so already. Other options of Connection stay.
 */
export function withClose(bytes: Buffer, start: number, end: number): Buffer | null {
  const headEnd = bytes.indexOf(HEAD_END, start, 'latin1')
  if (headEnd < 0 || headEnd > end) return null
  const lines = bytes.latin1Slice(start, headEnd).split('\r\n')
  const options = lines.flatMap(line => CONNECTION_LINE.exec(line)?.[1]?.split(',') ?? []).map(option => option.trim())
  if (options.some(option => option.toLowerCase() === 'close')) return null
  const others = options.filter(option => option !== '' && !/^keep-alive$/i.test(option))
  const [status = '', ...fields] = lines.filter(
    line => !CONNECTION_LINE.test(line) && !/^keep-alive[ \t]*:/i.test(line),
  )
  const head = [status, ...fields, `Connection: ${['close', ...others].join(', ')}`].join('\r\n')
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes.subarray(headEnd, end)])
}

/** Writes the bytes from `start` to `end`. False: the client is slow. */
export function writeResponse(exchange: Exchange, bytes: Buffer, start: number, end: number): boolean {
  const from = exchange.addedFields === '' ? start : writeStatusLine(exchange, bytes, start, end)
  exchange.sentBytes += end - from
  if (end - from <= COPY_BYTES) return exchange.out.write(bytes.latin1Slice(from, end))
  if (exchange.bodyFilter === null) return exchange.client.writeLent(bytes, from, end)
  return exchange.out.write(Buffer.from(bytes.subarray(from, end)))
}

/** Writes the status line and the added fields behind it. Returns where the rest begins. */
function writeStatusLine(exchange: Exchange, bytes: Buffer, start: number, end: number): number {
  const rest = bytes.indexOf('\r\n', start, 'latin1') + 2
  // The end of the status line is in a later piece.
  if (rest < start + 2 || rest > end) return start
  const text = bytes.latin1Slice(start, rest) + exchange.addedFields
  exchange.addedFields = ''
  exchange.sentBytes += text.length
  exchange.out.write(text)
  return rest
}

/**
 * Gives an interim response (1xx) to `pieces`, if the protocol of the client has them and there is room for one more.
 * `100 Continue` goes to the client at once. False: it is malformed, or comes after the head of the response.
 */
export function writeInterim(exchange: Exchange, bytes: string, pieces: PieceJoiner): boolean {
  if (exchange.firstByteMs > 0) return false
  if (!hasInterimRoom(exchange, bytes.length)) return true
  if (!isInterimHead(bytes)) return false
  if (exchange.head.httpMinor === 0) return true
  if (bytes.startsWith(CONTINUE)) {
    // A second 100, of another attempt or behind the proxy's own, would make some clients send the body twice (RFC 9110
    // §15.2.1).
    if (exchange.continued || exchange.replayableBytes > 0) return true
    exchange.continued = true
    pieces.pass(exchange)
    passInterim(exchange, bytes)
  } else pieces.takeInterim(exchange, bytes)
  return true
}
