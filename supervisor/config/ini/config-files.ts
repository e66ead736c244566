/**
 * The file system as the configuration sees it: the kind of a path, the text of small files, the names in a folder. The
 * only file of `read-settings.ts` that touches the disk; tests put a table of texts in its place. Must stay true: root
 * reads only what root alone decides about; every other path is read as `guarded-path.ts` says; opening never waits (a
 * FIFO).
 */

import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { codeOf } from '../../../kit/ground/failure.js'
import { CROWDED, namesIn } from '../../user/folder-names.js'
import { asOpening, type Opener, type Opening, openingOf } from '../../user/guarded-path.js'
import { whyNotByName } from '../../user/reached-by-name.js'

export type FileKind = 'file' | 'folder' | 'other' | 'missing' | 'unreadable'

export interface ConfigFiles {
  kindOf(path: string): FileKind
  /** `ofRoot`: a file that users other than root may write is refused. */
  read(path: string, ofRoot?: boolean): FileText
  list(folder: string): FolderNames
  /** The same while many files of one folder are read: to become another user for each takes a millisecond. */
  within<T>(folder: string, work: (files: ConfigFiles) => T): T
}

export type FileText = { ok: true; text: string } | { ok: false; why: string }

/** The names have no order. */
export type FolderNames = { ok: true; names: string[] } | { ok: false; why: string }

/** Largest file that is read: an INI, or one named by `@(…)`. */
export const FILE_BYTES = 1024 * 1024

const WRITABLE_BY_OTHERS = 0o022

/** The real file system, as `opener` sees it. */
export function filesFor(opener: Opener): ConfigFiles {
  return {
    kindOf: path => asOpening(openingOf(path, 'content', opener), opener, () => kindOf(path)),
    read: (path, ofRoot) => guarded(path, opener, judge => read(path, judge, ofRoot)),
    list: folder => guarded(folder, opener, judge => list(folder, judge)),
    within(folder, work) {
      const opening = openingOf(folder, 'content', opener)
      return asOpening(opening, opener, () => work(opening.as === null ? filesFor(opener) : filesOfOther(opening)))
    },
  }
}

/** For a process that already runs as the other user of `opening`. */
function filesOfOther(opening: Opening): ConfigFiles {
  const files: ConfigFiles = {
    kindOf,
    read: (path, ofRoot) => explained(read(path, whyNotByName, ofRoot), opening),
    list: folder => explained(list(folder, whyNotByName), opening),
    within: (_folder, work) => work(files),
  }
  return files
}

/** The real file system while the user of the service is not known yet. */
export const realFiles: ConfigFiles = filesFor('unknown')

/** Why an open file is not read; null: it is read. */
type Judge = (fd: number) => string | null

/** A refusal names the user as which the path was opened. */
function guarded<T extends { ok: true } | { ok: false; why: string }>(
  path: string,
  opener: Opener,
  work: (judge: Judge) => T,
): T {
  const opening = openingOf(path, 'content', opener)
  return explained(
    asOpening(opening, opener, () => work(opening.as === null ? () => null : whyNotByName)),
    opening,
  )
}

function explained<T extends { ok: true } | { ok: false; why: string }>(result: T, opening: Opening): T {
  if (result.ok || opening.as === null || result.why !== REFUSED) return result
  return { ...result, why: `${REFUSED} (${opening.reason})` }
}

const IS_LINUX = process.platform === 'linux'
const REFUSED = 'permission denied'

function kindOf(path: string): FileKind {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return 'missing'
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other'
  } catch (error) {
    // ENOTDIR: a file stands where a folder is named. Anything else (EACCES, ELOOP) hides what is there.
    return codeOf(error) === 'ENOTDIR' ? 'missing' : 'unreadable'
  }
}

/** Only regular files, so that a pipe or a device cannot make the start hang. */
function read(path: string, judge: Judge, ofRoot = false): FileText {
  const kind = kindOf(path)
  if (kind !== 'file') return { ok: false, why: WHY_NOT[kind] }
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    try {
      const found = fstatSync(fd)
      if (!found.isFile()) return { ok: false, why: WHY_NOT.other }
      const why = judge(fd)
      if (why !== null) return { ok: false, why }
      if (found.size > FILE_BYTES) return { ok: false, why: `larger than ${FILE_BYTES} bytes` }
      if (ofRoot && !isRootsAlone(found)) return { ok: false, why: 'others than root may write it' }
      return decode(readBounded(fd))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    return { ok: false, why: whyOf(error) }
  }
}

function isRootsAlone({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & WRITABLE_BY_OTHERS) === 0
}

function list(folder: string, judge: Judge): FolderNames {
  const kind = kindOf(folder)
  if (kind !== 'folder') return { ok: false, why: WHY_NO_FOLDER[kind] }
  try {
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const why = judge(fd)
      if (why !== null) return { ok: false, why }
      const { names, isWhole } = namesIn(IS_LINUX ? `/proc/self/fd/${fd}` : folder)
      return isWhole ? { ok: true, names } : { ok: false, why: CROWDED }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    return { ok: false, why: whyOf(error) }
  }
}

const WHY_NO_FOLDER: Record<Exclude<FileKind, 'folder'>, string> = {
  file: 'it is not a folder',
  other: 'it is not a folder',
  missing: 'no such folder',
  unreadable: REFUSED,
}

function whyOf(error: unknown): string {
  return codeOf(error) === 'EACCES' ? REFUSED : codeOf(error) || String(error)
}

const WHY_NOT: Record<Exclude<FileKind, 'file'>, string> = {
  folder: 'it is a folder',
  other: 'it is not a regular file',
  missing: 'no such file',
  unreadable: REFUSED,
}

/** By hand instead of readFileSync: files of /proc and files that grow have another length than stat says. */
function readBounded(fd: number): Buffer {
  const chunk = Buffer.alloc(64 * 1024)
  const chunks: Buffer[] = []
  for (let total = 0; total <= FILE_BYTES; ) {
    const bytes = readSync(fd, chunk, 0, chunk.length, null)
    if (bytes === 0) break
    chunks.push(Buffer.from(chunk.subarray(0, bytes)))
    total += bytes
  }
  return Buffer.concat(chunks)
}

function decode(bytes: Buffer): FileText {
  if (bytes.length > FILE_BYTES) return { ok: false, why: `larger than ${FILE_BYTES} bytes` }
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return { ok: false, why: 'it is not UTF-8 text' }
  }
}
