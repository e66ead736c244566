/**
 * The heads of messages between a foreign upstream and the proxy: which fields of a request go to the upstream, and
 * which fields of its response are believed and go to the client (RFC 9110 §7.6, RFC 9112 §6). Pure.
 *
 * What must stay true: the proxy makes the framing of both messages, so no field of one side can frame the other's
 * message. A response that two readers could understand differently is refused.
 */

import { mayBeTrailer } from '../http/chunked-body.js'
import { titleOf } from '../http/error-response.js'
import { FIELD, fieldOf, isToken, trimmedSlice } from '../http/header-field.js'

/** The head of a response as it goes on. */
export interface ResponseHead {
  status: number
  /** Field lines, each with its CRLF, without those that frame the message. */
  fields: string
  /** Content-Length; null: none. */
  lengthBytes: number | null
  /** There is no body whatever the fields say: a response to HEAD, 204, 304. */
  bodiless: boolean
}

/** Names and values as undici gives them, in turn. */
export type RawFields = readonly (Buffer | string)[]

/**
 * Names and values in turn for the upstream. `wire` are the fields as an application would get them. Expect is removed
 * because the proxy sends the 100 itself, as does nginx; Trailer because trailers of requests are dropped, which RFC
 * 9110 §6.5.1 allows; Transfer-Encoding because the proxy makes the framing.
 */
export function upstreamFields(wire: string): string[] {
  const parts = wire.slice(1).split('\n')
  const fields: string[] = []
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const [name = '', value = ''] = [parts[index], parts[index + 1]]
    if (!ENDS_HERE.has(name.toLowerCase())) fields.push(name, value)
  }
  return fields
}

const ENDS_HERE: ReadonlySet<string> = new Set(['expect', 'trailer', 'transfer-encoding'])

/** The head of a final response; a string says why it is refused. */
export function readResponseHead(status: number, raw: RawFields, method: string): ResponseHead | string {
  const pairs = pairsOf(raw)
  if (status < 200 || status > 599) return `its status is ${status}`
  if (pairs === null) return 'it has a malformed field'
  const lengths = valuesOf(pairs, 'content-length')
  const codings = valuesOf(pairs, 'transfer-encoding')
  if (lengths.length + codings.length > 1) return 'it has more than one content-length or transfer-encoding'
  const [length] = lengths
  if (length !== undefined && !isLength(length)) return 'its content-length is no number of bytes'
  if (codings[0] !== undefined && codings[0].toLowerCase() !== 'chunked')
    return 'it has another transfer-encoding than chunked'
  return {
    status,
    fields: endToEnd(pairs),
    lengthBytes: length === undefined || status === 204 ? null : Number(length),
    bodiless: method === 'HEAD' || status === 204 || status === 304,
  }
}

/** A whole 1xx response as it goes on; null: it is malformed, or meant for the proxy. */
export function printInterimHead(status: number, raw: RawFields): string | null {
  const pairs = pairsOf(raw)
  if (pairs === null || status < 102 || status > 199) return null
  const framing = valuesOf(pairs, 'content-length').length + valuesOf(pairs, 'transfer-encoding').length
  return framing > 0 ? null : `HTTP/1.1 ${titleOf(status)}\r\n${endToEnd(pairs)}\r\n`
}

/** Trailer lines that may go on, each with its CRLF. */
export function printTrailers(raw: RawFields): string {
  const pairs = pairsOf(raw) ?? []
  return pairs
    .filter(([name]) => mayBeTrailer(fieldOf(name), name))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

export function hasField(fields: string, name: string): boolean {
  return new RegExp(`^${name}:`, 'im').test(fields)
}

type Pair = [name: string, value: string]

/** null: a name is no token, or a value has a control character. */
function pairsOf(raw: RawFields): Pair[] | null {
  const pairs: Pair[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const value = textOf(raw[index + 1])
    const pair: Pair = [textOf(raw[index]), trimmedSlice(value, 0, value.length)]
    if (!isToken(pair[0]) || /[^\t -~\x80-\xff]/.test(value)) return null
    pairs.push(pair)
  }
  return pairs
}

function textOf(part: Buffer | string | undefined): string {
  return Buffer.isBuffer(part) ? part.latin1Slice() : (part ?? '')
}

function valuesOf(pairs: Pair[], lowerCaseName: string): string[] {
  return pairs.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value)
}

function isLength(text: string): boolean {
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))
}

/** RFC 9110 §7.6.1: fields that Connection names, and fields about one connection, end here. */
function endToEnd(pairs: Pair[]): string {
  const nominated = new Set(
    valuesOf(pairs, 'connection').flatMap(value => value.split(',').map(name => name.trim().toLowerCase())),
  )
  return pairs
    .filter(([name]) => !isOfOneHop(name) && !nominated.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

function isOfOneHop(name: string): boolean {
  switch (fieldOf(name)) {
    case FIELD.contentLength:
    case FIELD.transferEncoding:
    case FIELD.connection:
    case FIELD.upgrade:
    case FIELD.hopByHop:
      return true
    default:
      // RFC 9110 §11.7: from a proxy to its own client.
      return /^proxy-authenticat(e|ion-info)$/i.test(name)
  }
}
