/**
 * Looks a path up on disk: the file that it means, the compressed variants beside the file, and the content of small
 * ones. `static/open.ts` decides what may be opened.
 */

import type { StaticSettings } from '../../kit/channel/messages.js'
import { type Coding, SIBLING_ENDINGS } from '../http/content-coding.js'
import type { Variants } from './cache.js'
import { contentTypeOf, isServable, validatorsOf } from './files.js'
import type { FreshnessRules } from './freshness.js'
import { type Opened, type OpenedVersion, openInside } from './open.js'
import type { OpenFile } from './open-file.js'
import { type Place, StoredFile } from './stored-file.js'

export interface LookupRules {
  files: StaticSettings
  freshness: FreshnessRules
  /** Files up to this size are read whole. */
  wholeBytes: number
  /** Whether compressed variants are made of such a file. */
  isCompressed(contentType: string, sizeBytes: number): boolean
  /** Folders of earlier releases that still count, newest first. */
  previous(folder: string): readonly string[]
}

/** What to look up. */
export interface Question {
  /** Where to look, in this order. */
  places: readonly Place[]
  /** Decoded path of the request, and its target as received. */
  path: string
  uri: string
  /** The result of the last look: kept if nothing has changed. */
  known: Variants | null
  /** The request fields that the response depends on; for `Vary`. */
  vary: string
}

/** `directory`: a folder with an index, requested without its slash. */
export type Found =
  | { kind: 'file'; variants: Variants }
  | { kind: 'missing' }
  | { kind: 'forbidden' }
  | { kind: 'directory' }

const MISSING: Found = { kind: 'missing' }

/** The coarsest file systems store times to a second. */
const YOUNG_NS = 1_000_000_000n

/** Never waits for a FIFO or a device. Throws the Failures of `openInside`. */
export async function lookUp(question: Question, rules: LookupRules): Promise<Found> {
  for (const place of question.places) {
    const found = await lookAt(place, question, rules)
    if (found.kind !== 'missing') return found
  }
  return MISSING
}

async function lookAt({ folder, path }: Place, question: Question, rules: LookupRules): Promise<Found> {
  if (!isServable(path)) return MISSING
  if (path.endsWith('/')) return lookForIndex({ folder, path }, question, rules)
  const found = await openFile({ folder, path }, rules)
  if (found.opened.kind === 'directory') return lookForRedirect({ folder, path }, rules)
  if (found.opened.kind !== 'file') return { kind: found.opened.kind }
  return { kind: 'file', variants: await variantsOf(found.place, found.opened, question, rules) }
}

async function lookForIndex({ folder, path }: Place, question: Question, rules: LookupRules): Promise<Found> {
  for (const name of rules.files.staticIndex) {
    const { place, opened } = await openFile({ folder, path: path + name }, rules)
    if (opened.kind === 'forbidden') return { kind: 'forbidden' }
    if (opened.kind === 'file') return { kind: 'file', variants: await variantsOf(place, opened, question, rules) }
  }
  return MISSING
}

/**
 * Only a folder with an index gets a redirect: a redirect must not lead to a 404, nor take a path away from the
 * application.
 */
async function lookForRedirect({ folder, path }: Place, rules: LookupRules): Promise<Found> {
  for (const name of rules.files.staticIndex) {
    const { opened } = await openFile({ folder, path: `${path}/${name}` }, rules)
    if (opened.kind !== 'file') continue
    opened.file.close()
    return { kind: 'directory' }
  }
  return MISSING
}

/** In the folder or, during the grace time, in one of an earlier release. */
async function openFile({ folder, path }: Place, rules: LookupRules): Promise<{ place: Place; opened: Opened }> {
  if (rules.files.staticSkipExt.some(ending => path.endsWith(ending)))
    return { place: { folder, path }, opened: { kind: 'missing' } }
  const { staticSafe } = rules.files
  let opened = await openInside(folder, path, staticSafe)
  if (opened.kind !== 'missing') return { place: { folder, path }, opened }
  for (const before of rules.previous(folder)) {
    opened = await openInside(before, path, staticSafe)
    if (opened.kind === 'file') return { place: { folder: before, path }, opened }
    if (opened.kind === 'directory') break
  }
  return { place: { folder, path }, opened: { kind: 'missing' } }
}

type OpenedFile = Extract<Opened, { kind: 'file' }>

interface Seen {
  coding: Coding
  place: Place
  opened: OpenedFile
}

async function variantsOf(
  place: Place,
  original: OpenedFile,
  question: Question,
  rules: LookupRules,
): Promise<Variants> {
  const seen: Seen[] = []
  try {
    await openSiblings(place, original.version, rules, seen)
    seen.push({ coding: 'identity', place, opened: original })
    const varies = seen.length > 1 || rules.isCompressed(contentTypeOf(place.path), original.version.sizeBytes)
    const vary = [question.vary, varies ? 'Accept-Encoding' : ''].filter(name => name !== '').join(', ')
    const variants: StoredFile[] = []
    for (const each of seen)
      variants.push(await store(each, { place, modifiedNs: original.version.modifiedNs, vary }, question, rules))
    return variants as [StoredFile, ...StoredFile[]]
  } finally {
    original.file.close()
    for (const { opened } of seen) opened.file.close()
  }
}

/** A sibling that is older than its original was left behind by a former one. */
async function openSiblings(
  { folder, path }: Place,
  version: OpenedVersion,
  rules: LookupRules,
  seen: Seen[],
): Promise<void> {
  for (const coding of rules.files.staticPrecompressed) {
    const place = { folder, path: path + SIBLING_ENDINGS[coding] }
    const opened = await openInside(folder, place.path, rules.files.staticSafe)
    if (opened.kind !== 'file') continue
    if (opened.version.modifiedNs >= version.modifiedNs) seen.push({ coding, place, opened })
    else opened.file.close()
  }
}

interface Original {
  place: Place
  modifiedNs: bigint
  vary: string
}

async function store(
  { coding, place, opened }: Seen,
  original: Original,
  question: Question,
  rules: LookupRules,
): Promise<StoredFile> {
  const { version, file } = opened
  const same = question.known?.find(
    variant => variant.coding === coding && isSame(variant, place, version, original.vary),
  )
  if (same !== undefined) return same
  const nowMs = Date.now()
  const nowNs = BigInt(nowMs) * 1_000_000n
  const contentType = contentTypeOf(original.place.path)
  return new StoredFile({
    place,
    version,
    coding,
    contentType,
    vary: original.vary,
    validators: validatorsOf(version, coding, nowMs),
    freshness: rules.freshness.of({
      type: contentType.replace(/;.*/, ''),
      file: original.place.folder + original.place.path,
      path: question.path,
      uri: question.uri,
      modifiedMs: Math.min(Number(original.modifiedNs / 1_000_000n), nowMs),
    }),
    body: version.sizeBytes <= rules.wholeBytes ? await readWhole(file, version.sizeBytes) : null,
    isYoung: version.changedNs > nowNs - YOUNG_NS || version.modifiedNs > nowNs,
  })
}

function isSame(variant: StoredFile, place: Place, version: OpenedVersion, vary: string): boolean {
  return (
    !variant.isYoung &&
    variant.place.path === place.path &&
    variant.place.folder === place.folder &&
    variant.vary === vary &&
    variant.version.inode === version.inode &&
    variant.version.sizeBytes === version.sizeBytes &&
    variant.version.modifiedNs === version.modifiedNs &&
    variant.version.changedNs === version.changedNs
  )
}

/** null: shorter than a moment ago, or not readable; sending the file will show which. */
function readWhole(file: OpenFile, bytes: number): Promise<Buffer | null> {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  return new Promise(resolve => {
    const readFrom = (offset: number): void => {
      if (offset === bytes) return resolve(buffer)
      file.read(buffer, offset, bytes - offset, offset, (error, bytesRead) => {
        if (error !== null || bytesRead === 0) resolve(null)
        else readFrom(offset + bytesRead)
      })
    }
    readFrom(0)
  })
}
