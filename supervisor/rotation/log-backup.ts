/**
 * Keeps the previous log of `daimyo start` as a dated backup, `daimyo.log.2026-11-21T10-00-00` (UTC, as in the log
 * itself), and a bounded number of those. It runs at a start, and for `log-maxsize` in the child of `log-child.ts`.
 * Must stay true: only regular files with exactly such a name are removed; no backup replaces another. If other users
 * have filled the folder with such names, this costs a bounded time, and the log can still be moved away.
 */

import { lstatSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { removals } from '../user/file-removal.js'
import { type FolderNames, namesIn } from '../user/folder-names.js'

/** How many backups of one log are kept. */
export const keptBackups = 10

const DATE_CHARACTERS = '2026-11-21T10-00-00'.length
/** Later dates have more characters. */
const LATEST_MS = Date.UTC(9999, 11, 31)

/** The most removals after one look. The rest is removed with the next logs. */
const MOST_REMOVALS = 1000
const MOST_TRIES = 8
/** Numbers of backups within one second. */
const PLACES = 1000

/** The folder of the backups of a log, as far as it may be read. */
export interface BackupFolder {
  /** Null: the folder is not read now, and nothing is removed. */
  namesIn(folder: string): FolderNames | null
  /** The folder holds too many names to read. Of the backups seen, the oldest are removed. */
  crowded(folder: string): void
}

/** A folder that may be read, for one look. */
export const ANY_FOLDER: BackupFolder = { namesIn, crowded: () => {} }

/** The result of moving a log. `excess`: names in its folder that are to be removed. */
export interface MovedLog {
  backup: string
  excess: string[]
  /** The folder holds too many names to read. */
  isCrowded: boolean
}

/**
 * Moves `path` away and has the oldest backups past `kept` removed (`file-removal.ts`), as the user `as` (null: as we
 * are); returns the backup's path, null when there was nothing to keep.
 */
export function backUpLog(
  path: string,
  now: Date,
  kept: number = keptBackups,
  { namesIn, crowded }: BackupFolder = ANY_FOLDER,
  as: Credentials | null = null,
): string | null {
  const moved = moveLog(path, now, { leastBytes: 1, kept, namesIn })
  if (moved === null) return null
  removals.add(dirname(path), moved.excess, as)
  if (moved.isCrowded) crowded(dirname(path))
  return moved.backup
}

/** The same, but nothing is removed, and a log of fewer bytes stays. Null: it stays, or there is none. */
export function moveLog(
  path: string,
  now: Date,
  { leastBytes, kept, namesIn }: { leastBytes: number; kept: number; namesIn: BackupFolder['namesIn'] },
): MovedLog | null {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found?.isFile() || found.size < leastBytes) return null
  try {
    const folder = dirname(path)
    const { names, isWhole } = namesIn(folder) ?? { names: [], isWhole: true }
    const backups = backupsAmong(names, basename(path))
    const backup = freeName(path, now, backups)
    renameSync(path, backup)
    const excess = oldest(folder, [...backups, basename(backup)], kept)
    return { backup, excess, isCrowded: !isWhole || backups.length > kept + MOST_REMOVALS }
  } catch (error) {
    const exitCode = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
    throw new Failure('log-backup', `cannot keep the previous log: ${path}: ${reasonOf(error)}`, exitCode, error)
  }
}

/** The oldest backups past `kept`: names in the folder of the log that are to be removed. */
export function excessBackups(path: string, kept: number, look: (folder: string) => FolderNames): string[] {
  const folder = dirname(path)
  return oldest(folder, backupsAmong(look(folder).names, basename(path)), kept)
}

/** The backups of a log among the names in its folder, oldest first. */
export function backupsAmong(names: string[], logName: string): string[] {
  const suffix = /^\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d{3})?$/
  return names.filter(name => name.startsWith(logName) && suffix.test(name.slice(logName.length))).sort()
}

function freeName(path: string, now: Date, backups: readonly string[]): string {
  const newest = backups.at(-1)?.slice(basename(path).length + 1, basename(path).length + 1 + DATE_CHARACTERS) ?? ''
  // If the clock was set back, the new backup still comes behind the newest one: otherwise it would be removed
  // first.
  const dated = `${path}.${newest > dateOf(now) ? secondAfter(newest, now) : dateOf(now)}`
  // Several within one second: behind the last of them. The first may have been the oldest, and be gone.
  const last = backups.findLast(name => name.startsWith(basename(dated)))
  const first = last === undefined ? 0 : Number(last.slice(basename(dated).length + 1)) + 1
  return firstFree(dated, first)
}

/** Not all names need be known. If the next ones are taken, any number within this second will do. */
function firstFree(dated: string, first: number): string {
  for (let tries = 0; tries < 2 * MOST_TRIES; tries++) {
    const place = tries < MOST_TRIES ? first + tries : process.getBuiltinModule('node:crypto').randomInt(PLACES)
    if (place >= PLACES) continue
    const name = place === 0 ? dated : `${dated}.${String(place).padStart(3, '0')}`
    if (lstatSync(name, { throwIfNoEntry: false }) === undefined) return name
  }
  throw new Error(`no name is free: ${dated}`)
}

function dateOf(date: Date): string {
  return date.toISOString().slice(0, DATE_CHARACTERS).replaceAll(':', '-')
}

/** `now` if the text is no date. */
function secondAfter(date: string, now: Date): string {
  const [day, time = ''] = date.split('T')
  const atMs = Date.parse(`${day}T${time.replaceAll('-', ':')}Z`) + 1000
  return atMs < LATEST_MS ? dateOf(new Date(atMs)) : dateOf(now)
}

/**
 * The last name is that of the log that was just moved. If too many names wait, the rest is removed with the next logs.
 */
function oldest(folder: string, backups: readonly string[], kept: number): string[] {
  const excess = backups.slice(0, Math.min(MOST_REMOVALS, Math.max(0, backups.length - kept)))
  return excess.filter(name => lstatSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true)
}
