/**
 * The response with one certain file, straight from disk: the open file decides. For files that are too large for
 * memory, and for callers that send a file in the place of another response and make the head themselves.
 */

import { randomBytes } from 'node:crypto'
import {
  contentTypeOf,
  type Representation,
  responseForFile,
  type StaticRequest,
  type StaticResponse,
  validatorsOf,
} from './files.js'
import { type Opened, openInside } from './open.js'
import type { OpenFile } from './open-file.js'
import type { Place } from './stored-file.js'

/** `response`: `file` is open if the response has a body. `copyFileTo` closes it, or else the caller. */
export type DiskResponse =
  | { kind: 'response'; response: StaticResponse; file: OpenFile | null }
  | Exclude<Opened, { kind: 'file' }>

/** Facts about the file besides its size and its validators. */
export type FileFacts = Pick<Representation, 'contentType' | 'coding' | 'vary' | 'freshness'>

/** `safe`: folders that links may lead into, besides the file's own. Throws the Failures of `openInside`. */
export async function responseFromDisk(
  { folder, path }: Place,
  request: StaticRequest,
  safe: readonly string[] = [],
  facts: FileFacts = { contentType: contentTypeOf(path), coding: 'identity', vary: '', freshness: null },
): Promise<DiskResponse> {
  const opened = await openInside(folder, path, safe)
  if (opened.kind !== 'file') return opened
  const { contentType, coding, vary, freshness } = facts
  const { version, file } = opened
  const nowMs = Date.now()
  const validators = validatorsOf(version, coding, nowMs)
  const now: Representation = { sizeBytes: version.sizeBytes, validators, contentType, coding, vary, freshness }
  const response = responseForFile(now, request, nowMs, newBoundary)
  if (response.body.length > 0) return { kind: 'response', response, file }
  file.close()
  return { kind: 'response', response, file: null }
}

/** The separator of several ranges: random, so nobody can have put it into a file. */
export function newBoundary(): string {
  return randomBytes(18).toString('base64url')
}
