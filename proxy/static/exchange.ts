/**
 * Responds to an exchange with a file, if one of the folders has it. `static/site.ts` says what is stored,
 * `static/files.ts` decides about the response, `static/copy.ts` reads large files; here they meet a client.
 *
 * The hot path: the response with a cached file leaves at once, head and body in one write, with no promise, no thread
 * pool and no look at the disk.
 */

import { codeOf } from '../../kit/ground/failure.js'
import type { Exchange } from '../exchange/exchange.js'
import type { AskedRequest } from '../exchange/exchange-parts.js'
import { NO_CONDITIONS } from '../http/conditions.js'
import { negotiateCoding } from '../http/content-coding.js'
import type { ErrorCode, OwnResponse } from '../http/error-response.js'
import { httpDate } from '../http/http-date.js'
import { checkPreconditions } from '../http/preconditions.js'
import { headerValue } from '../http/request-head.js'
import { monotonicMs, strictMs } from '../process/clock.js'
import { pathBelow, type Route } from '../route/route-table.js'
import type { Variants } from './cache.js'
import { type ByteSink, copyFileTo } from './copy.js'
import { newBoundary, responseFromDisk } from './disk-response.js'
import {
  emptyResponse,
  errorIn,
  responseForDirectory,
  responseForFile,
  type StaticRequest,
  type StaticResponse,
} from './files.js'
import { printHead } from './head.js'
import type { OpenFile } from './open-file.js'
import type { Asked, StaticSite } from './site.js'
import type { Place, StoredFile } from './stored-file.js'

/**
 * `none`: no such file. `broken`: the file changed while it was sent, and the client must see that its response is not
 * complete.
 */
export type FileOutcome =
  | { kind: 'none' }
  | { kind: 'sent'; close: boolean }
  | { kind: 'broken' }
  | { kind: 'error'; code: ErrorCode; fields?: OwnResponse['fields'] }

const NONE: FileOutcome = { kind: 'none' }
const BROKEN: FileOutcome = { kind: 'broken' }
const SENT: FileOutcome = { kind: 'sent', close: false }
const SENT_LAST: FileOutcome = { kind: 'sent', close: true }

/**
 * Looks the path of the exchange up in the folders; `route` null: no mount stands before it. A promise if the disk has
 * to be asked.
 */
export function serveFile(
  site: StaticSite,
  exchange: Exchange,
  folders: readonly string[],
  route: Route | null,
): FileOutcome | Promise<FileOutcome> {
  const { path, head } = exchange
  if (route?.kind === 'static' && path === route.mount && path !== '/' && !route.keepsMount) {
    // Without the slash, relative links of the page would point beside the mount.
    return sendHead(exchange, responseForDirectory(path, requestOf(exchange)))
  }
  return serve(site, exchange, site.keyOf(path, head.target), () => {
    const below = route?.kind === 'static' ? pathBelow(route, path) : path
    return { places: folders.map(folder => ({ folder, path: below })), path, uri: head.target, vary: '' }
  })
}

/**
 * Responds with the first of the files that is there, whatever path was asked for. A folder is a real path; `path` as
 * for `openInside`. `vary`: the request fields that the choice of the file depended on.
 */
export function serveInside(
  site: StaticSite,
  exchange: Exchange,
  places: readonly Place[],
  vary = '',
): FileOutcome | Promise<FileOutcome> {
  const [first] = places
  if (first === undefined) return NONE
  // No path of a request has a NUL in it.
  const key = `${vary}\0${first.folder}\0${first.path}`
  return serve(site, exchange, key, () => ({ places, path: first.path, uri: exchange.head.target, vary }))
}

function serve(
  site: StaticSite,
  exchange: Exchange,
  key: string,
  ask: () => Asked,
): FileOutcome | Promise<FileOutcome> {
  const variants = site.recall(key, strictMs(), ask)
  return (variants === null ? null : fromMemory(exchange, variants)) ?? fromDisk(site, exchange, key, ask())
}

/** null: the content is not in memory. */
function fromMemory(exchange: Exchange, variants: Variants): FileOutcome | null {
  const { head, client } = exchange
  const variant = variants.length === 1 ? variants[0] : choose(exchange, variants)
  if (variant === null) return sendHead(exchange, emptyResponse(406, [['Vary', 'Accept-Encoding']]))
  if (head.method === 'GET' && !client.closingNow) {
    const prepared = prepare(exchange, variant)
    if (prepared !== null) return send(exchange, prepared.status, prepared.bytes)
  }
  const response = responseForFile(variant, requestOf(exchange), Date.now(), newBoundary)
  if (response.body.length === 0) return sendHead(exchange, response)
  return variant.body === null ? null : sendWhole(exchange, response, variant.body)
}

/** A prepared response, if one fits this request; null: it has to be made. */
function prepare({ head }: AskedRequest, variant: StoredFile): { status: number; bytes: Buffer } | null {
  const { conditions } = head
  if (conditions !== null) {
    const verdict = checkPreconditions(variant.validators, conditions, Date.now())
    if (verdict === 'not-modified') return { status: 304, bytes: variant.notModified(httpDate()) }
    if (verdict === 'failed' || conditions.range !== undefined) return null
  }
  const bytes = variant.wire(httpDate())
  return bytes === null ? null : { status: 200, bytes }
}

function choose({ head }: AskedRequest, variants: Variants): StoredFile | null {
  const codings = variants.map(variant => variant.coding)
  const coding = negotiateCoding(headerValue(head, 'accept-encoding'), codings)
  return variants.find(variant => variant.coding === coding) ?? null
}

/**
 * A second look if the file that was just found is gone before it could be opened. A name that keeps changing counts as
 * missing.
 */
async function fromDisk(site: StaticSite, exchange: Exchange, key: string, asked: Asked): Promise<FileOutcome> {
  try {
    for (let attempt = 1; attempt <= 2; attempt++) {
      const found = await site.find(key, asked)
      if (exchange.finished) return BROKEN
      if (found.kind === 'missing') return NONE
      if (found.kind === 'forbidden') return { kind: 'error', code: 'forbidden' }
      if (found.kind === 'directory')
        return sendHead(exchange, responseForDirectory(exchange.path, requestOf(exchange)))
      const outcome = fromMemory(exchange, found.variants) ?? (await fromFile(site, exchange, found.variants))
      if (outcome !== null) return outcome
      site.cache.drop(key)
    }
    return NONE
  } catch (error) {
    if (codeOf(error) === 'no-files') return { kind: 'error', code: 'no-files' }
    if (codeOf(error) === 'file-unreadable') return { kind: 'error', code: 'file-unreadable' }
    throw error
  }
}

/**
 * Opens and sends a file that is too large for memory. The open file counts, not what was seen before. null: the file
 * is gone.
 */
async function fromFile(site: StaticSite, exchange: Exchange, variants: Variants): Promise<FileOutcome | null> {
  const variant = variants.length === 1 ? variants[0] : choose(exchange, variants)
  if (variant === null) return null
  const opened = await responseFromDisk(variant.place, requestOf(exchange), site.settings.staticSafe, variant)
  if (opened.kind !== 'response') return null
  const { response, file } = opened
  if (exchange.finished) {
    file?.close()
    return BROKEN
  }
  return file === null ? sendHead(exchange, response) : sendFile(exchange, response, file)
}

function requestOf({ head }: AskedRequest): StaticRequest {
  const request: StaticRequest = { method: head.method, conditions: head.conditions ?? NO_CONDITIONS }
  const query = head.target.indexOf('?')
  if (query >= 0) request.query = head.target.slice(query)
  return request
}

/** Sends the head of the file; an error gets its body, or its page, where all errors do. */
function sendHead(exchange: Exchange, response: StaticResponse): FileOutcome {
  const error = errorIn(response)
  if (error !== null) return { kind: 'error', ...error }
  return send(exchange, response.status, printHead(response, httpDate(), exchange.client.closingNow))
}

/** The head and some of the bytes in memory, in one write. */
function sendWhole(exchange: Exchange, response: StaticResponse, body: Buffer): FileOutcome {
  const parts: Uint8Array[] = [Buffer.from(printHead(response, httpDate(), exchange.client.closingNow), 'latin1')]
  for (const { text, start, bytes } of response.body) {
    parts.push(Buffer.from(text, 'latin1'), body.subarray(start, start + bytes))
  }
  return send(exchange, response.status, Buffer.concat(parts))
}

/** A whole response: text is latin1. */
function send(exchange: Exchange, status: number, bytes: Buffer | string): FileOutcome {
  const { client } = exchange
  const close = client.closingNow
  exchange.dispatchMs = exchange.startMs
  exchange.beginResponse(status, monotonicMs())
  exchange.sentBytes = bytes.length
  client.write(bytes)
  return close ? SENT_LAST : SENT
}

async function sendFile(exchange: Exchange, response: StaticResponse, file: OpenFile): Promise<FileOutcome> {
  const close = exchange.client.closingNow
  exchange.status = response.status
  exchange.dispatchMs = exchange.startMs
  exchange.firstByteMs = monotonicMs()
  const copy = copyFileTo(file, response.body, sinkOf(exchange), printHead(response, httpDate(), close))
  exchange.file = copy
  const end = await copy.finished
  exchange.sentBytes = end.sentBytes
  if (end.ending === 'complete') return close ? SENT_LAST : SENT
  return end.sentBytes === 0 && end.ending === 'failed' ? { kind: 'error', code: 'file-unreadable' } : BROKEN
}

function sinkOf(exchange: Exchange): ByteSink {
  const { client } = exchange
  return {
    write: chunk => {
      exchange.responseBegun = true
      return client.write(chunk)
    },
    whenWritable: callback => client.whenWritable(callback),
    get waitingBytes() {
      return client.waitingBytes
    },
  }
}
