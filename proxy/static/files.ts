/**
 * The response to GET and HEAD for one variant of a file: status, head and the bytes that follow. Pure;
 * `static/exchange.ts` sends it. `static/open.ts` and `isServable` decide which files may be opened at all. As in
 * nginx, no `X-Content-Type-Options` is sent; `Date` and `Connection` are up to the caller.
 */

import { type ByteRange, decideRange, printContentRange } from '../http/byte-range.js'
import type { Conditions } from '../http/conditions.js'
import type { Coding } from '../http/content-coding.js'
import { entityTagOf, type FileVersion } from '../http/entity-tag.js'
import type { ErrorCode } from '../http/error-response.js'
import { encodeName } from '../http/file-name.js'
import { printHttpDate } from '../http/http-date.js'
import { checkPreconditions, mayUseRange, type Validators } from '../http/preconditions.js'
import { type Freshness, freshnessFields } from './freshness.js'
import { mediaTypeOf } from './media-types.js'

export interface StaticRequest {
  method: string
  conditions: Readonly<Conditions>
  /** The query as received, with its `?`, for redirects. */
  query?: string
}

/** A stored variant of a file, as far as heads depend on it. */
export interface Representation {
  sizeBytes: number
  validators: Validators
  contentType: string
  coding: Coding
  /** The value of `Vary`: the request fields that decide between variants; empty: none. */
  vary: string
  freshness: Freshness | null
}

/** Bytes of the file, with `text` (latin1) before them. */
export interface BodyPart {
  text: string
  start: number
  bytes: number
}

/**
 * The response. `headers` are complete for the status, with `Content-Length` (except for 304), so a response without
 * `body` can be sent as it is, unless it is an error: `errorIn`. Empty `body`: no bytes, as for HEAD, whatever
 * `Content-Length` says.
 */
export interface StaticResponse {
  status: number
  headers: [name: string, value: string][]
  body: BodyPart[]
}

/**
 * Whether a path may be looked at: no NUL, and no segment that begins with a dot (so no `..`), except a first segment
 * `.well-known` (RFC 8615). The requested name counts: a link `docs` to `.docs` inside the folder is the operator's
 * decision.
 */
export function isServable(path: string): boolean {
  if (!path.startsWith('/') || path.includes('\0')) return false
  return !path.includes('/.') || !path.replace(/^\/\.well-known(?=\/|$)/, '').includes('/.')
}

/**
 * The strong tag and the time. The tag contains the coding, because two variants never share a tag. A time in the
 * future counts as now (RFC 9110 §8.8.2.1).
 */
export function validatorsOf(version: FileVersion, coding: Coding, nowMs: number): Validators {
  const modifiedMs = Math.min(Number(version.modifiedNs / 1_000_000n), nowMs)
  const plainTag = entityTagOf(version)
  const entityTag = coding === 'identity' ? plainTag : `${plainTag.slice(0, -1)}-${coding}"`
  return { entityTag, lastModifiedMs: Math.floor(modifiedMs / 1000) * 1000 }
}

/** The content type by the ending of the name. */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dotAt = name.lastIndexOf('.')
  return (dotAt > 0 && mediaTypeOf(name.slice(dotAt))) || 'application/octet-stream'
}

/** The response for a file. `boundary` makes the separator of several ranges, which must not occur in any file. */
export function responseForFile(
  file: Representation,
  request: StaticRequest,
  nowMs: number,
  boundary: () => string,
): StaticResponse {
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed()
  const verdict = checkPreconditions(file.validators, request.conditions, nowMs)
  if (verdict === 'failed') return emptyResponse(412, [])
  if (verdict === 'not-modified') return { status: 304, headers: cacheHeaders(file, nowMs), body: [] }
  // §14.2: `Range` is defined for GET only.
  const isRangeUsed = request.method === 'GET' && mayUseRange(file.validators, request.conditions['if-range'], nowMs)
  const range = decideRange(isRangeUsed ? request.conditions.range : undefined, file.sizeBytes)
  if (range.kind === 'unsatisfiable') {
    return emptyResponse(416, [['Content-Range', printContentRange(null, file.sizeBytes)], ...varyHeader(file)])
  }
  if (range.kind === 'parts') return responseWithParts(file, range.parts, nowMs, boundary)
  const headers = [...contentHeaders(file, file.contentType, file.sizeBytes), ...cacheHeaders(file, nowMs)]
  const body = request.method === 'HEAD' || file.sizeBytes === 0 ? [] : [{ text: '', start: 0, bytes: file.sizeBytes }]
  return { status: 200, headers, body }
}

/**
 * A folder that was requested without its last slash: 301 to `./name/`, with the query. A relative target needs neither
 * mount nor host, and `//host` cannot become another host. It begins with `./`, because `a:b/` would be read as a URL
 * of the scheme `a`. Pure; also for the mount itself.
 */
export function responseForDirectory(path: string, request: StaticRequest): StaticResponse {
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed()
  const name = path.slice(path.lastIndexOf('/') + 1)
  return emptyResponse(301, [['Location', `./${encodeName(name)}/${request.query ?? ''}`]])
}

/** A response without a body. */
export function emptyResponse(status: number, headers: StaticResponse['headers']): StaticResponse {
  return { status, headers: [...headers, ['Content-Length', '0']], body: [] }
}

/**
 * A response of 400 and more, as `error-response.ts` needs it to add a body: its code, and additional fields of its
 * head; null: no error.
 */
export interface StaticError {
  code: ErrorCode
  fields: StaticResponse['headers']
}

const ERROR_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [405, 'method-not-allowed'],
  [406, 'not-acceptable'],
  [412, 'precondition-failed'],
  [416, 'range-not-satisfiable'],
])

export function errorIn({ status, headers }: StaticResponse): StaticError | null {
  const code = ERROR_CODES.get(status)
  return code === undefined ? null : { code, fields: headers.filter(([name]) => name !== 'Content-Length') }
}

/** The bytes of the body, its text included. */
export function bodyBytesOf({ body }: StaticResponse): number {
  return body.reduce((sum, { text, bytes }) => sum + text.length + bytes, 0)
}

/**
 * One range, or several as `multipart/byteranges` (§14.6): each with fields of its own, and a last line behind them.
 */
function responseWithParts(
  file: Representation,
  parts: readonly ByteRange[],
  nowMs: number,
  boundary: () => string,
): StaticResponse {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) {
    const bytes = only.last - only.first + 1
    const headers = [...contentHeaders(file, file.contentType, bytes), ...cacheHeaders(file, nowMs)]
    headers.push(['Content-Range', printContentRange(only, file.sizeBytes)])
    return { status: 206, headers, body: [{ text: '', start: only.first, bytes }] }
  }
  const mark = boundary()
  const body: BodyPart[] = parts.map(({ first, last }) => ({
    text:
      `\r\n--${mark}\r\nContent-Type: ${file.contentType}\r\n` +
      `Content-Range: ${printContentRange({ first, last }, file.sizeBytes)}\r\n\r\n`,
    start: first,
    bytes: last - first + 1,
  }))
  body.push({ text: `\r\n--${mark}--\r\n`, start: 0, bytes: 0 })
  const bytes = bodyBytesOf({ status: 206, headers: [], body })
  const headers = contentHeaders(file, `multipart/byteranges; boundary=${mark}`, bytes)
  return { status: 206, headers: [...headers, ...cacheHeaders(file, nowMs)], body }
}

function contentHeaders(file: Representation, type: string, bytes: number): StaticResponse['headers'] {
  const headers: StaticResponse['headers'] = [
    ['Content-Type', type],
    ['Content-Length', String(bytes)],
    ['Accept-Ranges', 'bytes'],
  ]
  if (file.coding !== 'identity') headers.push(['Content-Encoding', file.coding])
  return headers
}

/** The fields of a 200 that a 304 repeats (§15.4.5). */
function cacheHeaders(file: Representation, nowMs: number): StaticResponse['headers'] {
  return [
    ['Last-Modified', printHttpDate(file.validators.lastModifiedMs)],
    ['ETag', file.validators.entityTag],
    ...freshnessFields(file.freshness, nowMs),
    ...varyHeader(file),
  ]
}

function varyHeader(file: Representation): StaticResponse['headers'] {
  return file.vary === '' ? [] : [['Vary', file.vary]]
}

function methodNotAllowed(): StaticResponse {
  return emptyResponse(405, [['Allow', 'GET, HEAD']])
}
