/**
 * The file system as the configuration sees it: what kind of thing a path is, the text of small files, what is in a folder. The one shell
 * below `read-settings.ts`; tests put a table of texts in its place.
 */

import { closeSync, fstatSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs'
import { codeOf } from '../../kit/failure.js'

export type FileKind = 'file' | 'folder' | 'other' | 'missing' | 'unreadable'

export interface ConfigFiles {
  kindOf(path: string): FileKind
  /** `ofRoot`: one that others than root may write is refused. */
  read(path: string, ofRoot?: boolean): FileText
  list(folder: string): FolderNames
}

export type FileText = { ok: true; text: string } | { ok: false; why: string }

/** In no order. */
export type FolderNames = { ok: true; names: string[] } | { ok: false; why: string }

/** Largest file that is read: an INI, or one named by `@(…)`. */
export const FILE_BYTES = 1024 * 1024

const WRITABLE_BY_OTHERS = 0o022

/** The real file system. */
export const realFiles: ConfigFiles = { kindOf, read, list }

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
function read(path: string, ofRoot = false): FileText {
  const kind = kindOf(path)
  if (kind !== 'file') return { ok: false, why: WHY_NOT[kind] }
  try {
    const fd = openSync(path, 'r')
    try {
      const found = fstatSync(fd)
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

function list(folder: string): FolderNames {
  const kind = kindOf(folder)
  if (kind !== 'folder') return { ok: false, why: WHY_NO_FOLDER[kind] }
  try {
    return { ok: true, names: readdirSync(folder) }
  } catch (error) {
    return { ok: false, why: whyOf(error) }
  }
}

const WHY_NO_FOLDER: Record<Exclude<FileKind, 'folder'>, string> = {
  file: 'it is not a folder',
  other: 'it is not a folder',
  missing: 'no such folder',
  unreadable: 'permission denied',
}

function whyOf(error: unknown): string {
  return codeOf(error) === 'EACCES' ? 'permission denied' : codeOf(error) || String(error)
}

const WHY_NOT: Record<Exclude<FileKind, 'file'>, string> = {
  folder: 'it is a folder',
  other: 'it is not a regular file',
  missing: 'no such file',
  unreadable: 'permission denied',
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
