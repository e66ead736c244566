/**
 * Connections to foreign upstreams, as undici's pools make them, with one difference: undici breaks a connection on
 * which `100 Continue` comes. A server may send it at any time, and a client that has not asked for it may ignore it
 * (RFC 9110 §15.2).
 *
 * What must stay true: undici's parser sees the same bytes and decides about everything else. It is told another
 * interim status, which IANA has not assigned.
 *
 * Source: lib/dispatcher/client-h1.js of undici 7 (`connectH1`, `Parser.onHeadersComplete`). If a version works
 * differently, a 100 is a bad response, as without this file.
 */

import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { UpstreamAddress } from '../../kit/options/values/value-types.js'
import { loadUndici } from './lazy-undici.js'

/** The status that `UpstreamAttempt` gets in place of 100. */
export const UNASKED_CONTINUE = 199

/**
 * Bytes that may wait on the socket for a slow upstream. A body that comes byte by byte waits in as many writes, each
 * of which takes a hundred times its size: this is a quarter of undici's own limit.
 */
const MOST_WAITING_BYTES = 16 * 1024

interface Parser {
  onHeadersComplete(status: number, upgrade: boolean, keepsAlive: boolean): number
}

/** `connectMs`: how long connecting may take. */
export function upstreamConnector(address: UpstreamAddress, connectMs: number): buildConnector.connector {
  // undici passes unknown options on to `net.connect`; its types lack the stream options of `net.Socket`.
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
