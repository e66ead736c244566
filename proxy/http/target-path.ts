/**
 * The path that a request target means, for routing and for static files. Runs once for each request.
 *
 * What must stay true: a returned path begins with `/`, contains no empty, `.` or `..` segment, no control character
 * and no backslash, and was decoded exactly once. No other code decodes it again. Routes are chosen by it, never by the
 * target, so `/api/%2E%2E/` cannot leave a mount; the application still receives the target as it came.
 *
 * nginx and RFC 3986 resolve `/a//../b` differently. Where readers disagree (here, on an encoded slash, on a path above
 * the root), there is no such path. A target with an encoded slash may still be for an application (`/@scope%2Fname` of
 * a package registry), and a target with another doubtful escape may name a file: `looseReadings` gives the readings of
 * its most different readers, and if all of them lead to one route the response is not a 400.
 */

import { nameOf } from './file-name.js'

/** Printable ASCII without `%`, `\`, `#`, and no segment that is empty or begins with a dot. */
const NEEDS_WORK = /[^!"$&-[\]-~]|\/[/.]/
const NOT_IN_TARGET = /[^!"$-[\]-~]/
const BAD_ENCODING = /%(?![\dA-Fa-f]{2})|%[01][\dA-Fa-f]|%2[Ff]|%5[Cc]|%7[Ff]/
const CONTROL = /[\x7f-\x9f]/

/**
 * The decoded path of an origin-form target, without its query; null (a 400) if readers would not agree on one. `*` and
 * absolute-form are no paths.
 */
export function routingPath(target: string): string | null {
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (path.charCodeAt(0) !== SLASH) return null
  if (!NEEDS_WORK.test(path)) return path
  const decoded = decode(path)
  return decoded === null ? null : resolve(decoded)
}

const SLASH = 47

function decode(path: string): string | null {
  if (NOT_IN_TARGET.test(path) || BAD_ENCODING.test(path)) return null
  try {
    const decoded = decodeURIComponent(path)
    return CONTROL.test(decoded) ? null : decoded
  } catch (error) {
    // Overlong, cut or surrogate UTF-8.
    if (error instanceof URIError) return null
    throw error
  }
}

/**
 * RFC 3986 §5.2.4, but a path that climbs above the root or out of an empty segment is refused. Then empty segments are
 * dropped.
 */
function resolve(path: string): string | null {
  const resolved: string[] = []
  const segments = path.split('/').slice(1)
  for (const segment of segments) {
    if (segment === '..') {
      // Popping nothing means above the root. Popping '' is where RFC 3986 and collapsing first disagree.
      if (!resolved.pop()) return null
    } else if (segment !== '.') {
      resolved.push(segment)
    }
  }
  const kept = resolved.filter(segment => segment !== '')
  const last = segments.at(-1)
  const isFolder = last === '' || last === '.' || last === '..'
  return kept.length === 0 ? '/' : `/${kept.join('/')}${isFolder ? '/' : ''}`
}

/** Escapes that readers disagree on: of a slash, a backslash or a control character. */
const DOUBTFUL = /%[01][\dA-Fa-f]|%2[Ff]|%5[Cc]|%7[Ff]/

export interface Readings {
  /** The reading that keeps doubtful escapes (or bytes that are not UTF-8) as they are. */
  kept: string
  /** The reading that decodes `%2F` and `%5C` as slashes. */
  undone: string
  /**
   * The reading of a Linux file system, to which a backslash, a control character and any other byte are parts of a
   * name (`file-name.ts`); null: a slash is encoded.
   */
  name: string | null
}

/**
 * The path of a target that `routingPath` has none for. null: it is malformed, has a NUL, or has dot segments: with
 * these, other readers could arrive anywhere.
 */
export function looseReadings(target: string): Readings | null {
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (path.charCodeAt(0) !== SLASH || NOT_IN_TARGET.test(path) || /%(?![\dA-Fa-f]{2})|%00/.test(path)) return null
  const undone = decodeSegments(path.replace(/%2[Ff]|%5[Cc]/g, '/'), decodeAgreed)
  if (/\/\.{1,2}(?:\/|$)/.test(undone)) return null
  const name = /%2[Ff]/.test(path) ? null : decodeSegments(path, decodeBytes)
  return { kept: decodeSegments(path, decodeAgreed), undone, name }
}

/** A segment, if all readers decode it alike. */
function decodeAgreed(segment: string): string {
  return DOUBTFUL.test(segment) ? segment : (decode(segment) ?? segment)
}

function decodeBytes(segment: string): string {
  return nameOf(segment.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
}

/** Decodes each segment, and drops empty ones. */
function decodeSegments(path: string, decodeOne: (segment: string) => string): string {
  const segments = path.split('/').map(decodeOne)
  const isFolder = path.endsWith('/')
  const kept = segments.filter(segment => segment !== '')
  return kept.length === 0 ? '/' : `/${kept.join('/')}${isFolder ? '/' : ''}`
}
