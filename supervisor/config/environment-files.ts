/**
 * Reads the files of `env-file` and `envdir`, once for each reading of the configuration. So a file that cannot be read
 * refuses the start or the reload, and a changed file is a changed setting. Must stay true: no value is ever part of a
 * message. A program that starts as root before it becomes another user (`ofRoot`) gets no variable, such as
 * NODE_OPTIONS or LD_PRELOAD, from a file that users other than root may write.
 */

import { join } from 'node:path'
import { cutText } from '../../kit/ground/cut-text.js'
import type { ConfigFiles } from './ini/config-files.js'
import { parseEnvFile } from './ini/env-file.js'
import type { EnvironmentChange, Finding } from './values/settings.js'

/** A file or folder, and the place of its line. */
export interface NamedPath {
  path: string
  place: string
}

/** Later changes go before earlier ones. */
export interface ReadEnvironment {
  changes: EnvironmentChange[]
  mistakes: Finding[]
  remarks: Finding[]
}

/** A folder with more files than this is no environment. */
const MOST_FILES = 1000
/** execve(2) takes no longer `NAME=VALUE` (MAX_ARG_STRLEN), with the NUL behind it. */
const LONGEST_VARIABLE_BYTES = 128 * 1024 - 1
/** All variables of files together. execve(2) has 2 MB for arguments and environment at the usual stack limit. */
const MOST_BYTES = 2 * 1024 * 1024

/** All files in their order, then all folders in theirs. */
export function readEnvironmentFiles(
  envFiles: readonly NamedPath[],
  folders: readonly NamedPath[],
  files: ConfigFiles,
  ofRoot: boolean,
): ReadEnvironment {
  const read: Taken = { changes: [], mistakes: [], remarks: [], bytes: 0 }
  const judged = (files: ConfigFiles): ConfigFiles => ({ ...files, read: path => files.read(path, ofRoot) })
  for (const named of envFiles) readEnvFile(named, judged(files), read)
  for (const named of folders) files.within(named.path, files => readFolder(named, judged(files), read))
  return { changes: read.changes, mistakes: read.mistakes, remarks: read.remarks }
}

/** What was read so far, and the bytes of the variables. */
interface Taken extends ReadEnvironment {
  bytes: number
}

/** Why the variable is not taken; null: it was. The value is kept as a text of its own, not as a part of the file. */
function take(read: Taken, name: string, value: string | null): string | null {
  const bytes = bytesOf(name, value)
  if (bytes > LONGEST_VARIABLE_BYTES)
    return `${JSON.stringify(name)} has ${bytes} bytes: accepted at most ${LONGEST_VARIABLE_BYTES}, as the kernel takes`
  read.bytes += bytes
  if (read.bytes > MOST_BYTES) return `received more than ${MOST_BYTES} bytes: accepted as many in all files together`
  read.changes.push({ name, value: value === null ? null : cutText(value, value.length) })
  return null
}

function bytesOf(name: string, value: string | null): number {
  return Buffer.byteLength(name) + Buffer.byteLength(value ?? '') + 1
}

function readEnvFile({ path, place }: NamedPath, files: ConfigFiles, read: Taken): void {
  const text = files.read(path)
  if (!text.ok) {
    const message = `env-file: ${text.why}: received ${path}: accepted a readable file of NAME=VALUE lines`
    read.mistakes.push({ place, message })
    return
  }
  const { variables, mistakes } = parseEnvFile(text.text)
  for (const { name, value } of variables) {
    const why = take(read, name, value)
    if (why === null) continue
    read.mistakes.push({ place, message: `env-file: ${path}: ${why}` })
    break
  }
  for (const { line, why } of mistakes) read.mistakes.push({ place: `${path}:${line}`, message: `env-file: ${why}` })
}

/**
 * As envdir(8) of daemontools: the name of a file is the name of a variable, and its first line the value; an empty
 * file unsets the variable. Hidden files and folders do not count.
 */
function readFolder({ path: folder, place }: NamedPath, files: ConfigFiles, read: Taken): void {
  const listed = files.list(folder)
  const refuse = (why: string, path: string) => {
    read.mistakes.push({
      place,
      message: `envdir: ${why}: received ${onOneLine(path)}: accepted a readable folder, a file for each variable`,
    })
  }
  if (!listed.ok) return refuse(listed.why, folder)
  const names = listed.names.filter(name => !name.startsWith('.')).sort()
  if (names.length > MOST_FILES) return refuse(`more than ${MOST_FILES} files`, folder)
  for (const name of names) {
    const path = join(folder, name)
    if (['folder', 'other'].includes(files.kindOf(path))) continue
    const text = files.read(path)
    if (name.includes('=')) refuse('`=` in the name of a variable', path)
    else if (!text.ok) refuse(text.why, path)
    else {
      const why = take(read, name, text.text === '' ? null : firstLine(text.text))
      if (why !== null) {
        read.mistakes.push({ place, message: `envdir: ${why}` })
        return
      }
      if (hasMore(text.text))
        read.remarks.push({ place, message: `envdir: only the first line of ${onOneLine(path)} counts` })
    }
  }
}

/** Others choose the names in the folder: a line feed would begin a line of its own. */
function onOneLine(path: string): string {
  return /[\0-\x1f\x7f]/.test(path) ? JSON.stringify(path) : path
}

/** Without blanks at its end. A NUL stands for a line break. */
function firstLine(text: string): string {
  let end = text.indexOf('\n')
  if (end === -1) end = text.length
  while (end > 0 && ' \t\r'.includes(text[end - 1] ?? '')) end--
  return text.slice(0, end).replaceAll('\0', '\n')
}

function hasMore(text: string): boolean {
  const end = text.indexOf('\n')
  return end !== -1 && text.slice(end).trim() !== ''
}
