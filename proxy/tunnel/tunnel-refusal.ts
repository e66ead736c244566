/**
 * The response to a refused WebSocket handshake. It is passed on as any response of an application, so the client's
 * connection can be used again if the end of the response can be seen (RFC 9112 §6.3).
 */

import type { Socket } from 'node:net'
import type { Exchange } from '../exchange/exchange.js'
import { ChunkedDecoder } from '../http/chunked-body.js'

/** A refusal as it came: its head, the bytes behind it, and the paused socket on which the rest comes. */
export interface Refused {
  status: number
  head: string
  rest: Buffer
  upstream: Socket
}

/** `kept`: whole, and the connection goes on. `last`: the connection ends with it. `broken`: it will never be whole. */
export type RefusalOutcome = 'kept' | 'last' | 'broken'

/**
 * How much of a piece belongs to the body, whether the body is complete, and whether the end of the connection marks
 * its end.
 */
interface BodyEnd {
  take(bytes: Buffer): number
  complete: boolean
  byClose: boolean
}

/** Whether the framing of the response can be believed; if not, that is the application's mistake. */
export function isFramed(head: string): boolean {
  const lengths = fieldValues(head, 'content-length')
  const codings = fieldValues(head, 'transfer-encoding')
  if (lengths.length > 1 || codings.length > 1 || (lengths.length > 0 && codings.length > 0)) return false
  return lengths.every(value => /^\d{1,15}$/.test(value)) && codings.every(value => value.toLowerCase() === 'chunked')
}

/** Passes the response on, as fast as the client takes it, and reports the outcome once. */
export function passRefusal(exchange: Exchange, refused: Refused, done: (outcome: RefusalOutcome) => void): void {
  const { client } = exchange
  const { head, rest, upstream, status } = refused
  const body = bodyEnd(status, head)
  const close = body.byClose || client.closing
  const end = (outcome: RefusalOutcome) => {
    upstream.removeAllListeners().on('error', () => {})
    upstream.destroy()
    done(outcome)
  }
  const write = (bytes: string | Buffer): boolean => {
    exchange.sentBytes += bytes.length
    return client.write(bytes)
  }
  const pass = (bytes: Buffer) => {
    if (exchange.finished) return
    const taken = body.take(bytes)
    if (taken < 0) return end('broken')
    if (taken > 0 && !write(bytes.subarray(0, taken))) {
      upstream.pause()
      client.whenWritable(() => upstream.resume())
    }
    if (body.complete) end(close ? 'last' : 'kept')
  }
  write(withConnection(head, close ? 'close' : 'keep-alive'))
  upstream.on('data', pass)
  upstream.on('close', () => end(body.byClose ? 'last' : 'broken'))
  upstream.on('end', () => upstream.end())
  pass(rest)
  upstream.resume()
}

/**
 * The head with the proxy's own Connection, and without the path of a file, which is for the proxy; 426 must nominate
 * the Upgrade that it names (RFC 9110 §15.5.22).
 */
function withConnection(head: string, token: 'close' | 'keep-alive'): string {
  const lines = head
    .split('\r\n')
    .filter(line => !/^(connection|keep-alive|proxy-connection|x-accel-redirect|x-sendfile):/i.test(line))
  const upgrade = fieldValues(head, 'upgrade').length > 0 ? ', Upgrade' : ''
  lines.splice(1, 0, `Connection: ${token}${upgrade}`)
  return lines.join('\r\n')
}

function bodyEnd(status: number, head: string): BodyEnd {
  const [length] = fieldValues(head, 'content-length')
  if (status === 204 || status === 304) return lengthEnd(0)
  if (fieldValues(head, 'transfer-encoding').length > 0) return chunkedEnd()
  if (length !== undefined) return lengthEnd(Number(length))
  return { take: bytes => bytes.length, complete: false, byClose: true }
}

function lengthEnd(bytes: number): BodyEnd {
  let missing = bytes
  const body: BodyEnd = {
    take(piece) {
      const taken = Math.min(missing, piece.length)
      missing -= taken
      body.complete = missing === 0
      return taken
    },
    complete: missing === 0,
    byClose: false,
  }
  return body
}

/** -1: the bytes are not chunked. */
function chunkedEnd(): BodyEnd {
  const decoder = new ChunkedDecoder()
  const body: BodyEnd = {
    take(piece) {
      const decoded = decoder.decode(piece, () => {})
      if (!('consumed' in decoded)) return -1
      body.complete = decoded.done
      return decoded.consumed
    },
    complete: false,
    byClose: false,
  }
  return body
}

function fieldValues(head: string, lowerCaseName: string): string[] {
  return head
    .split('\r\n')
    .filter(line => line.slice(0, lowerCaseName.length + 1).toLowerCase() === `${lowerCaseName}:`)
    .map(line => line.slice(lowerCaseName.length + 1).trim())
}
