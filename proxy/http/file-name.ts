/**
 * Names of files that are not UTF-8, in paths that are strings. A name is any bytes but NUL and `/`. In a segment that
 * is not UTF-8, each byte from 0x80 on is represented by U+DC80 to U+DCFF, half a surrogate pair, which no UTF-8 gives:
 * as PEP 383 does. Pure.
 */

import { isUtf8 } from 'node:buffer'

const FIRST_ODD = 0xdc00
const ODD = /[\uDC80-\uDCFF]/u
const ODD_ONES = /([\uDC80-\uDCFF]+)/u

/** A segment given as bytes, each a character of `latin1`. */
export function nameOf(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1')
  if (isUtf8(bytes)) return bytes.toString()
  return latin1.replace(/[\x80-\xff]/g, byte => String.fromCharCode(FIRST_ODD + byte.charCodeAt(0)))
}

/** The path as the system calls take it. */
export function nativePath(path: string): string | Buffer {
  return ODD.test(path) ? Buffer.concat(path.split(ODD_ONES).map(bytesOf)) : path
}

/** A segment, percent-encoded. */
export function encodeName(name: string): string {
  return name
    .split(ODD_ONES)
    .map(part => (ODD.test(part) ? percentEncoded(bytesOf(part)) : encodeURIComponent(Buffer.from(part).toString())))
    .join('')
}

function bytesOf(part: string): Buffer {
  if (!ODD.test(part)) return Buffer.from(part)
  return Buffer.from(Array.from(part, one => one.charCodeAt(0) - FIRST_ODD))
}

function percentEncoded(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase().replace(/../g, '%$&')
}
