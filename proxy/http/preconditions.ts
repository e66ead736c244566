/**
 * Conditional requests (RFC 9110 §13): whether a GET or HEAD whose response would be 200 or 206 gets it. Pure. The
 * order of the checks is that of §13.2.2 and must stay: an `If-None-Match` overrides `If-Modified-Since`, whatever that
 * says.
 */

import type { Conditions } from './conditions.js'
import { listsEntityTag } from './entity-tag.js'
import { parseHttpDate } from './http-date.js'

/** The validators of the selected representation. */
export interface Validators {
  /** Strong, with its quotes. */
  entityTag: string
  /** As sent in `Last-Modified`: whole seconds. */
  lastModifiedMs: number
}

/** `send`: go on (200, 206, 416). `not-modified`: 304. `failed`: 412. */
export type Verdict = 'send' | 'not-modified' | 'failed'

/** Steps 1 to 4 of §13.2.2. Malformed dates are ignored; lists of tags with a syntax error match nothing. */
export function checkPreconditions(validators: Validators, conditions: Readonly<Conditions>, nowMs: number): Verdict {
  if (!mayProceed(validators, conditions, nowMs)) return 'failed'
  return hasFreshCopy(validators, conditions, nowMs) ? 'not-modified' : 'send'
}

/**
 * Step 5: whether `Range` counts. Tags are compared strongly; a date must be exactly the one that the proxy sent
 * (§13.1.5).
 */
export function mayUseRange(validators: Validators, ifRange: string | undefined, nowMs: number): boolean {
  if (ifRange === undefined || ifRange === validators.entityTag) return true
  return parseHttpDate(ifRange, nowMs) === validators.lastModifiedMs
}

function mayProceed(validators: Validators, conditions: Readonly<Conditions>, nowMs: number): boolean {
  const ifMatch = conditions['if-match']
  if (ifMatch !== undefined) return listsEntityTag(ifMatch, validators.entityTag, 'strong')
  const unmodifiedSince = conditions['if-unmodified-since']
  if (unmodifiedSince === undefined) return true
  const sinceMs = parseHttpDate(unmodifiedSince, nowMs)
  return sinceMs === null || validators.lastModifiedMs <= sinceMs
}

function hasFreshCopy(validators: Validators, conditions: Readonly<Conditions>, nowMs: number): boolean {
  const ifNoneMatch = conditions['if-none-match']
  if (ifNoneMatch !== undefined) return listsEntityTag(ifNoneMatch, validators.entityTag, 'weak')
  const modifiedSince = conditions['if-modified-since']
  if (modifiedSince === undefined) return false
  const sinceMs = parseHttpDate(modifiedSince, nowMs)
  return sinceMs !== null && validators.lastModifiedMs <= sinceMs
}
