/**
 * Field lines of a message's head (RFC 9110 §5, RFC 9112 §5): their grammar, and the names that mean something to the
 * proxy. Runs for every field of every request, and for trailers.
 */

import type { RefusalCode } from './refusal.js'

/** The meaning of a field to the proxy. Fields up to `condition` travel on to the worker, the others end here. */
export const FIELD = {
  plain: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  expect: 4,
  userAgent: 5,
  referer: 6,
  /** The response with a file depends on it: RFC 9110 §13 and §14. */
  condition: 7,
  connection: 8,
  upgrade: 9,
  /** Only for the next hop, which is the proxy. */
  hopByHop: 10,
  /** What earlier proxies say about the client and the request. The caller decides whether to believe it. */
  forwarding: 11,
  /**
   * `X_Forwarded_For`: CGI-style names make it the same as `X-Forwarded-For`, so it could pass for the proxy's own
   * field.
   */
  forwardingTwin: 12,
} as const

export type Field = (typeof FIELD)[keyof typeof FIELD]

/**
 * The first CR, LF or control character that is neither HTAB, nor part of a CRLF that a field name and a colon follow.
 * One pass over the whole head costs about 1.1 ns a character; a loop over `charCodeAt` costs twice that.
 */
const MALFORMED = /[^ -~](?<!\r(?=\n[!#$%&'*+\-.^_`|~\dA-Za-z]+:)|\r\n|[\t\x80-\xff])/
const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/

/** RFC 9110 §5.6.2. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/**
 * The rule that `text` breaks, which may be any text in which each CRLF begins a field line. null: every line after the
 * first is `token ":" value` without a control character but HTAB, and no CR or LF stands alone.
 */
export function malformation(text: string): RefusalCode | null {
  const found = MALFORMED.exec(text)
  return found === null ? null : explain(text, found.index)
}

function explain(text: string, index: number): RefusalCode {
  if (text[index] === '\n') return 'bare-lf'
  if (text[index] !== '\r') return 'control-character'
  if (text[index + 1] !== '\n') return 'bare-cr'
  return explainLine(text, index + 2)
}

function explainLine(text: string, at: number): RefusalCode {
  const end = text.indexOf('\r\n', at)
  const line = end === -1 ? text.slice(at) : text.slice(at, end)
  if (line === '') return 'empty-line'
  if (line[0] === ' ' || line[0] === '\t') return 'obs-fold'
  const colon = line.indexOf(':')
  if (colon === -1) return 'field-without-colon'
  if (colon === 0) return 'empty-field-name'
  return /[ \t]$/.test(line.slice(0, colon)) ? 'space-before-colon' : 'bad-field-name'
}

/** `text` from `start` to `end` without the spaces and tabs around it. */
export function trimmedSlice(text: string, start: number, end: number): string {
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

/**
 * The meaning of the field called `name` (a token) to the proxy. Its length decides in most cases, without a look at
 * its letters.
 */
export function fieldOf(name: string): Field {
  switch (name.length) {
    case 2:
      return isNamed(name, 'te') ? FIELD.hopByHop : FIELD.plain
    case 4:
      return isNamed(name, 'host') ? FIELD.host : FIELD.plain
    case 5:
      return isNamed(name, 'range') ? FIELD.condition : FIELD.plain
    case 6:
      return isNamed(name, 'expect') ? FIELD.expect : FIELD.plain
    case 7:
      return isNamed(name, 'referer') ? FIELD.referer : isNamed(name, 'upgrade') ? FIELD.upgrade : FIELD.plain
    case 8:
      return isNamed(name, 'if-match') || isNamed(name, 'if-range') ? FIELD.condition : FIELD.plain
    case 9:
      return isNamed(name, 'forwarded') ? FIELD.forwarding : forwardingOr(FIELD.plain, name, 'x-real-ip')
    case 10:
      return fieldOfTen(name)
    case 12:
      return forwardingOr(FIELD.plain, name, 'x-request-id')
    case 13:
      return isNamed(name, 'if-none-match') ? FIELD.condition : forwardedOrPlain(name)
    case 14:
      return isNamed(name, 'content-length') ? FIELD.contentLength : forwardedOrPlain(name)
    case 16:
      return isNamed(name, 'proxy-connection') ? FIELD.hopByHop : forwardedOrPlain(name)
    case 17:
      if (isNamed(name, 'transfer-encoding')) return FIELD.transferEncoding
      return isNamed(name, 'if-modified-since') ? FIELD.condition : forwardedOrPlain(name)
    case 19:
      if (isNamed(name, 'if-unmodified-since')) return FIELD.condition
      return isNamed(name, 'proxy-authorization') ? FIELD.hopByHop : forwardedOrPlain(name)
    default:
      return forwardedOrPlain(name)
  }
}

function fieldOfTen(name: string): Field {
  if (isNamed(name, 'user-agent')) return FIELD.userAgent
  if (isNamed(name, 'connection')) return FIELD.connection
  return isNamed(name, 'keep-alive') ? FIELD.hopByHop : FIELD.plain
}

/**
 * Whether the token `name` is `lower` in any case. `| 32` makes no other token character look like a letter, digit or
 * hyphen.
 */
function isNamed(name: string, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    if ((name.charCodeAt(i) | 32) !== lower.charCodeAt(i)) return false
  }
  return true
}

/** Any X-Forwarded-*: the proxy has to decide whether to believe it, also if only the application knows the word. */
function forwardedOrPlain(name: string): Field {
  return (name.charCodeAt(0) | 32) === LETTER_X ? forwardingOr(FIELD.plain, name, 'x-forwarded-') : FIELD.plain
}

/** `otherwise`, unless `name` begins with `lower` in any case, with hyphens or with underscores in their place. */
function forwardingOr(otherwise: Field, name: string, lower: string): Field {
  let field: Field = FIELD.forwarding
  for (let i = 0; i < lower.length; i++) {
    const code = name.charCodeAt(i)
    if (code === UNDERSCORE && lower.charCodeAt(i) === HYPHEN) field = FIELD.forwardingTwin
    else if ((code | 32) !== lower.charCodeAt(i)) return otherwise
  }
  return field
}

const LETTER_X = 120
const HYPHEN = 45
const UNDERSCORE = 95
