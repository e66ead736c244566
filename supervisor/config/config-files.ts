/**
 * The file system as the configuration sees it: what kind of thing a path is, and the text of small files. The one shell
 * below `read-settings.ts`; tests put a table of texts in its place.
 */

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { codeOf } from '../../kit/failure.js'

export type FileKind = 'file' | 'folder' | 'other' | 'missing' | 'unreadable'

export interface ConfigFiles {
  kindOf(path: string): FileKind
  read(path: string): FileText
}

export type FileText = { ok: true; text: string } | { ok: false; why: string }

/** Largest file that is read: an INI, or one named by `@(…)`. */
export const FILE_BYTES = 1024 * 1024

/** The real file system. */
export const realFiles: ConfigFiles = { kindOf, read }

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
function read(path: string): FileText {
  const kind = kindOf(path)
  if (kind !== 'file') return { ok: false, why: WHY_NOT[kind] }
  try {
    const fd = openSync(path, 'r')
    try {
      if (fstatSync(fd).size > FILE_BYTES) return { ok: false, why: `larger than ${FILE_BYTES} bytes` }
      return decode(readBounded(fd))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    return { ok: false, why: codeOf(error) === 'EACCES' ? 'permission denied' : codeOf(error) || String(error) }
  }
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
