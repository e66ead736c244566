/**
 * Connections to foreign upstreams, as undici's pools make them, but for one thing: undici breaks a connection on which
 * `100 Continue` comes. A server may send that at any time, and whoever has not asked for it may ignore it (RFC 9110
 * §15.2). Used by `upstream-group.ts`.
 *
 * What must stay true: undici's parser sees the same bytes and decides about all else. It is told another interim
 * status, which IANA has given to nobody.
 *
 * Source: lib/dispatcher/client-h1.js of undici 7 (`connectH1`, `Parser.onHeadersComplete`); where a version has that
 * differently, a 100 is a bad response as before.
 */

import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { UpstreamAddress } from '../../kit/options/values/value-types.js'
import { loadUndici } from './lazy-undici.js'

/** What `UpstreamAttempt` is told in place of 100. */
export const UNASKED_CONTINUE = 199

/**
 * What waits on the socket for a slow upstream. A body that comes byte by byte waits in as many writes, each of which
 * takes a hundred times its size: this is a quarter of what undici has by itself.
 */
const MOST_WAITING_BYTES = 16 * 1024

interface Parser {
  onHeadersComplete(status: number, upgrade: boolean, keepsAlive: boolean): number
}

/** `connectMs`: how long it may take. */
export function upstreamConnector(address: UpstreamAddress, connectMs: number): buildConnector.connector {
  // undici hands on to `net.connect` what it does not know; its types lack what `net.Socket` takes as a stream.
  const stream = { highWaterMark: MOST_WAITING_BYTES }
  const connect = loadUndici().buildConnector({
    timeout: connectMs,
    socketPath: 'path' in address ? address.path : null,
    ...stream,
  })
  return (options, callback) =>
    connect(options, (error, socket) => {
      // undici gives the connection its parser in here, and nothing is read before this turn is over.
      if (error !== null) return callback(error, null)
      callback(null, socket)
      const parser = parserOf(socket)
      if (parser !== null) passContinue(parser)
    })
}

function passContinue(parser: Parser): void {
  const { onHeadersComplete } = parser
  parser.onHeadersComplete = (status, upgrade, keepsAlive) =>
    onHeadersComplete.call(parser, status === 100 ? UNASKED_CONTINUE : status, upgrade, keepsAlive)
}

function parserOf(socket: Socket): Parser | null {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'parser')
  const parser = key === undefined ? null : (socket as unknown as Record<symbol, Partial<Parser> | null>)[key]
  return typeof parser?.onHeadersComplete === 'function' ? (parser as Parser) : null
}
