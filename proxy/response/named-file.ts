/**
 * The file that an application names with `X-Accel-Redirect` or `X-Sendfile`, and the fields of the application that go
 * out with it. Pure. Opening the file (`static/open.ts`) shows whether it is there, and really inside its root whatever
 * its links say.
 */

import type { FileRoots } from '../../kit/channel/messages.js'
import { fieldValue, type ResponseField, type ResponseHead } from '../http/response-head.js'
import { looseReadings, routingPath } from '../http/target-path.js'
import type { FileFacts } from '../static/disk-response.js'
import { contentTypeOf, isServable } from '../static/files.js'
import type { Place } from '../static/stored-file.js'

/**
 * `X-Accel-Redirect` names a URL path below one of the `internal` prefixes, as in nginx; a query behind it is ignored.
 * `X-Sendfile` names an absolute path below one of the roots, percent-encoded as Apache and lighttpd read it. If both
 * are there, the first counts. A string says why there is no such file, or why it may not be named.
 */
export function namedFile(head: ResponseHead, roots: FileRoots): Place | string {
  const redirect = fieldValue(head.fields, 'x-accel-redirect')
  if (redirect !== undefined) return below(pathOf(encodeRaw(redirect)), roots.internal, 'internal')
  const file = fieldValue(head.fields, 'x-sendfile') ?? ''
  return below(pathOf(encodeRaw(file).replaceAll('?', '%3F')), roots.sendfile, 'x-sendfile-root')
}

/** The application's own words, for events; null: it named no file. */
export function wordsFor(head: ResponseHead): string | null {
  return fieldValue(head.fields, 'x-accel-redirect') ?? fieldValue(head.fields, 'x-sendfile') ?? null
}

/**
 * Facts about the file: the application's Content-Type goes before that of the file name, as in nginx, also in each of
 * several ranges.
 */
export function factsOf(head: ResponseHead, path: string): FileFacts {
  const contentType = fieldValue(head.fields, 'content-type') ?? contentTypeOf(path)
  return { contentType, coding: 'identity', vary: '', freshness: null }
}

/**
 * The application's fields that go out with the file: all but those about its own body or connection, and those for the
 * proxy. The fields of the file go before them.
 */
export function fieldsWithFile(head: ResponseHead, status: number, ofFile: readonly ResponseField[]): ResponseField[] {
  const isContent = status === 200 || status === 206
  const kept = head.fields.filter(([name]) => isKept(name.toLowerCase(), isContent))
  return [...ofFile, ...kept]
}

function below(path: string | null, roots: FileRoots['internal'], option: string): Place | string {
  if (path === null || path.endsWith('/')) return 'it is not the path of a file'
  let found: Place | null = null
  let length = 0
  for (const { prefix, folder } of roots) {
    const inside = prefix === '/' ? prefix : `${prefix}/`
    if (!path.startsWith(inside) || inside.length <= length) continue
    length = inside.length
    found = { folder, path: path.slice(inside.length - 1) }
  }
  if (found === null) return `it is below no \`${option}\``
  return isServable(found.path) ? found : 'a dot hides it'
}

function pathOf(target: string): string | null {
  return routingPath(target) ?? looseReadings(target)?.name ?? null
}

/** Field values hold spaces and bytes beyond ASCII as they are; paths have them encoded. */
function encodeRaw(value: string): string {
  return value.replace(/[^!-~]/g, byte => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function isKept(name: string, isContent: boolean): boolean {
  if (name.startsWith('x-accel-')) return false
  return !OF_THE_BODY.has(name) && (isContent || !name.startsWith('content-'))
}

const OF_THE_BODY: ReadonlySet<string> = new Set([
  'accept-ranges',
  'connection',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'digest',
  'etag',
  'keep-alive',
  'last-modified',
  'repr-digest',
  'trailer',
  'transfer-encoding',
  'x-sendfile',
])
