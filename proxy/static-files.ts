/**
 * Answers GET and HEAD with the files of a folder: status and head here, the body through static-copy.ts. Called for
 * the routes of kind `static` and for `check-static`. What may be opened at all is decided in static-open.ts and by
 * `isServable`.
 * As nginx does, no `X-Content-Type-Options` and no `Cache-Control` are sent; `Date` and `Connection` are the caller's.
 */

import { contentType } from 'mime-types'
import { decideRange, printContentRange } from './byte-range.js'
import { entityTagOf, type FileVersion } from './entity-tag.js'
import { checkPreconditions, mayUseRange, type ReadHeader, type Validators } from './preconditions.js'
import { printHttpDate } from './static-http-date.js'
import { openInside } from './static-open.js'
import type { OpenFile } from './static-open-file.js'

export interface StaticRequest {
  method: string
  header: ReadHeader
  /** The query as received, with its `?`, for redirects. */
  query?: string
}

/**
 * What to send. `headers` are complete for the status, with `Content-Length` (but for 304), so an answer without a
 * `file` can go out as it is; for a status of 400 and more the caller may put a body of its own under it.
 */
export interface StaticAnswer {
  status: number
  headers: [name: string, value: string][]
  /** Bytes of the body to send: 0 for HEAD, whatever `Content-Length` says. */
  bodyBytes: number
  /** Where in the file they begin. */
  start: number
  /** Open where there is a body; given to `copyFileTo`, or closed by the caller. */
  file: OpenFile | null
}

const INDEX_FILE = 'index.html'

/**
 * Looks `path` up in `folder`. `path` is what follows the mount: percent-decoded, beginning with `/`, dot segments
 * removed. Null: no such file, or none that may be seen; the next route is to be asked. Throws a Failure with the code
 * `no-files` (503) or `file-unreadable` (500).
 */
export async function openStatic(folder: string, path: string, request: StaticRequest): Promise<StaticAnswer | null> {
  if (!isServable(path)) return null
  const isFolderPath = path.endsWith('/')
  const opened = await openInside(folder, isFolderPath ? path + INDEX_FILE : path)
  if (opened.kind === 'missing') return null
  if (opened.kind === 'forbidden') return emptyAnswer(403, [])
  if (opened.kind === 'directory') {
    return !isFolderPath && (await hasIndex(folder, path)) ? answerForDirectory(path, request) : null
  }
  const answer = answerForFile(path, opened.version, request, Date.now())
  if (answer.bodyBytes > 0) answer.file = opened.file
  else opened.file.close()
  return answer
}

/**
 * Whether a path may be looked at: no NUL, and no segment that begins with a dot, which refuses `..` too, but for a
 * first segment `.well-known` (RFC 8615). The name that is asked for counts: a link `docs` to `.docs` inside the folder
 * is somebody's decision.
 */
export function isServable(path: string): boolean {
  if (!path.startsWith('/') || path.includes('\0')) return false
  return !path.includes('/.') || !path.replace(/^\/\.well-known(?=\/|$)/, '').includes('/.')
}

/** The answer for a file, `file` not yet set. Pure. */
export function answerForFile(path: string, version: FileVersion, request: StaticRequest, nowMs: number): StaticAnswer {
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed()
  const validators = validatorsOf(version, nowMs)
  const verdict = checkPreconditions(validators, request.header, nowMs)
  if (verdict === 'failed') return emptyAnswer(412, [])
  if (verdict === 'not-modified') return { ...NO_BODY, status: 304, headers: validatorHeaders(validators) }
  return answerWithFile(path, version.sizeBytes, validators, request, nowMs)
}

/**
 * A folder that was asked for without its last slash: 301 to `./name/`, with the query. Relative, so that it needs to
 * know neither mount nor host, and `//host` cannot become another host; `./`, because `a:b/` would be read as an URL of
 * the scheme `a`. Pure; also for the mount itself.
 */
export function answerForDirectory(path: string, request: StaticRequest): StaticAnswer {
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed()
  const name = path.slice(path.lastIndexOf('/') + 1)
  // Through a Buffer, because encodeURIComponent throws at half a surrogate pair.
  const encodedName = encodeURIComponent(Buffer.from(name).toString())
  return emptyAnswer(301, [['Location', `./${encodedName}/${request.query ?? ''}`]])
}

const NO_BODY = { bodyBytes: 0, start: 0, file: null }

/** §14.2: `Range` is defined for GET only. */
function answerWithFile(
  path: string,
  sizeBytes: number,
  validators: Validators,
  request: StaticRequest,
  nowMs: number,
): StaticAnswer {
  const { method, header } = request
  const isRangeUsed = method === 'GET' && mayUseRange(validators, header('if-range'), nowMs)
  const range = decideRange(isRangeUsed ? header('range') : undefined, sizeBytes)
  if (range.kind === 'unsatisfiable') return emptyAnswer(416, [['Content-Range', printContentRange(null, sizeBytes)]])
  const isPart = range.kind === 'part'
  const start = isPart ? range.first : 0
  const contentBytes = isPart ? range.last - range.first + 1 : sizeBytes
  const headers: StaticAnswer['headers'] = [
    ['Content-Type', contentTypeOf(path)],
    ['Content-Length', String(contentBytes)],
    ...validatorHeaders(validators),
    ['Accept-Ranges', 'bytes'],
  ]
  if (isPart) headers.push(['Content-Range', printContentRange(range, sizeBytes)])
  return { status: isPart ? 206 : 200, headers, bodyBytes: method === 'HEAD' ? 0 : contentBytes, start, file: null }
}

/** A time in the future is sent as now (RFC 9110 §8.8.2.1). */
function validatorsOf(version: FileVersion, nowMs: number): Validators {
  const modifiedMs = Math.min(Number(version.modifiedNs / 1_000_000n), nowMs)
  return { entityTag: entityTagOf(version), lastModifiedMs: Math.floor(modifiedMs / 1000) * 1000 }
}

function validatorHeaders(validators: Validators): StaticAnswer['headers'] {
  return [
    ['Last-Modified', printHttpDate(validators.lastModifiedMs)],
    ['ETag', validators.entityTag],
  ]
}

function contentTypeOf(path: string): string {
  const name = path.endsWith('/') ? INDEX_FILE : path.slice(path.lastIndexOf('/') + 1)
  const dotAt = name.lastIndexOf('.')
  return (dotAt > 0 && contentType(name.slice(dotAt))) || 'application/octet-stream'
}

/**
 * Only a folder with an index is redirected to: a redirect must not lead to a 404, nor take a path away from the
 * application.
 */
async function hasIndex(folder: string, path: string): Promise<boolean> {
  const index = await openInside(folder, `${path}/${INDEX_FILE}`)
  if (index.kind === 'file') index.file.close()
  return index.kind === 'file'
}

function methodNotAllowed(): StaticAnswer {
  return emptyAnswer(405, [['Allow', 'GET, HEAD']])
}

function emptyAnswer(status: number, headers: StaticAnswer['headers']): StaticAnswer {
  return { ...NO_BODY, status, headers: [...headers, ['Content-Length', '0']] }
}
