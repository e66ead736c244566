/**
 * The head of an application's HTTP/1.1 response, from text to values for a body filter, and back (RFC 9112 §4–§6).
 * Only body filters parse heads; `link.ts` checks interim responses here. Pure.
 *
 * What must stay true: a head that two clients could read differently is refused, as with requests; nothing is
 * repaired. A worker's own check (`app/host/request/response-promise.ts`) comes before this one and costs less. This
 * one is for code that needs the fields, and for upstreams that nobody checked.
 */

import { STATUS_CODES } from 'node:http'
import { INTERIM_BYTES, INTERIM_FIELDS } from '../../kit/link/frames.js'
import { FIELD, fieldOf, isToken, malformation, trimmedSlice } from './header-field.js'

export type ResponseField = [name: string, value: string]

/** `none`: HEAD, 204, 304. `close`: the end of the connection is the end of the body. */
export type ResponseFraming = 'none' | 'length' | 'chunked' | 'close'

export interface ResponseHead {
  status: number
  reason: string
  /** In their order, with their spelling; values without the blanks around them. */
  fields: ResponseField[]
  framing: ResponseFraming
  /** Bytes of body with `length`, else 0. */
  length: number
}

/** Why a head is refused, to be read behind "the response:". */
export interface BadHead {
  bad: string
}

/** A longer head is refused: this is eight times nginx's `proxy_buffer_size`. */
export const MAX_RESPONSE_HEAD_BYTES = 64 * 1024

const MAX_FIELD_LINES = 1000
const STATUS_LINE = /^HTTP\/1\.[01] ([2-9]\d\d)(?: ([\t -~\x80-\xff]*))?$/
const INTERIM_LINE = /^HTTP\/1\.1 1(?!01)\d\d [\t -~\x80-\xff]*\r\n/
const DIGITS = /^\d{1,15}$/

/**
 * Parses status line and field lines, as one latin1 string without the empty line at their end. `method`: of the
 * request.
 */
export function parseResponseHead(text: string, method: string): ResponseHead | BadHead {
  const lines = text.split('\r\n', MAX_FIELD_LINES + 1)
  const [, status = '', reason = ''] = STATUS_LINE.exec(lines[0] ?? '') ?? []
  if (status === '') return { bad: 'it does not begin with the status line of a final response' }
  if (malformation(text) !== null) return { bad: 'a line of its head is malformed' }
  if (lines.length > MAX_FIELD_LINES) return { bad: 'it has too many field lines' }
  const fields = lines.slice(1).map(fieldIn)
  const framing = framingOf(fields)
  if (typeof framing === 'string') return { bad: framing }
  const head: ResponseHead = { status: Number(status), reason, fields, ...framing }
  return hasNoBody(head.status, method) ? { ...head, framing: 'none', length: 0 } : head
}

export function isBadHead(head: ResponseHead | BadHead): head is BadHead {
  return 'bad' in head
}

/**
 * The head as bytes (latin1), with its empty line. Values must be free of control characters, as those of a parsed head
 * are.
 */
export function printResponseHead(
  status: number,
  fields: readonly ResponseField[],
  reason = reasonFor(status),
): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`
  return `${text}\r\n`
}

/** The value of a field by its lower-case name, several of one name joined with `, `; undefined: no such field. */
export function fieldValue(fields: readonly ResponseField[], lowerCaseName: string): string | undefined {
  let found: string | undefined
  for (const [name, value] of fields) {
    if (name.length !== lowerCaseName.length || name.toLowerCase() !== lowerCaseName) continue
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

/**
 * Whether `text` is one whole interim head (1xx) within its bounds and nothing else. 101 is refused: it would switch
 * the protocol of the client's connection. A text that is too long is not parsed.
 */
export function isInterimHead(text: string): boolean {
  if (text.length > INTERIM_BYTES || !INTERIM_LINE.test(text) || !text.endsWith('\r\n\r\n')) return false
  const head = text.slice(0, -4)
  const lines = head.split('\r\n', INTERIM_FIELDS + 2)
  return (
    lines.length < INTERIM_FIELDS + 2 && malformation(head) === null && lines.slice(1).map(fieldIn).every(isNoFraming)
  )
}

function reasonFor(status: number): string {
  return STATUS_CODES[status] ?? 'Unknown'
}

/** RFC 9110 §6.4.1. */
function hasNoBody(status: number, method: string): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

function fieldIn(line: string): ResponseField {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), trimmedSlice(line, colon + 1, line.length)]
}

function isNoFraming([name]: ResponseField): boolean {
  const field = fieldOf(name)
  return isToken(name) && field !== FIELD.contentLength && field !== FIELD.transferEncoding
}

/** RFC 9112 §6.3, except for the rules about the request and the status; a string says why nobody could know. */
function framingOf(fields: readonly ResponseField[]): { framing: ResponseFraming; length: number } | string {
  let length: number | null = null
  let isChunked = false
  for (const [name, value] of fields) {
    const field = fieldOf(name)
    if (field === FIELD.contentLength) {
      if (length !== null) return 'it has two content-lengths'
      if (!DIGITS.test(value)) return 'its content-length is no number of bytes'
      length = Number(value)
    } else if (field === FIELD.transferEncoding) {
      if (isChunked) return 'it has two transfer-encodings'
      if (value.toLowerCase() !== 'chunked') return 'it has another transfer-encoding than chunked'
      isChunked = true
    }
  }
  if (isChunked && length !== null) return 'it has both content-length and transfer-encoding'
  if (isChunked) return { framing: 'chunked', length: 0 }
  return length === null ? { framing: 'close', length: 0 } : { framing: 'length', length }
}
