/**
 * Keeps the previous log of `daimyo start` as a dated backup, `daimyo.log.2026-11-21T10-00-00` (UTC, as in the log itself), and
 * a bounded number of those. Called by `master-log.ts`, at a start and for `log-maxsize`.
 * Must stay true: nothing is removed but regular files with exactly such a name; no backup replaces another.
 */

import { lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'

/** How many backups of one log are kept. */
export const keptBackups = 10

const DATE_CHARACTERS = '2026-11-21T10-00-00'.length
/** Later ones have more characters. */
const LATEST_MS = Date.UTC(9999, 11, 31)

/** Moves `path` away and removes the oldest backups past `kept`; returns the backup's path, null when there was nothing to keep. */
export function backUpLog(path: string, now: Date, kept: number = keptBackups): string | null {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found?.isFile() || found.size === 0) return null
  try {
    const backup = freeName(path, now)
    renameSync(path, backup)
    removeOldest(path, kept)
    return backup
  } catch (error) {
    const exitCode = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
    throw new Failure('log-backup', `cannot keep the previous log: ${path}: ${reasonOf(error)}`, exitCode, error)
  }
}

/** The backups of a log among the names of its folder, oldest first. */
export function backupsAmong(names: string[], logName: string): string[] {
  const suffix = /^\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d{3})?$/
  return names.filter(name => name.startsWith(logName) && suffix.test(name.slice(logName.length))).sort()
}

function freeName(path: string, now: Date): string {
  const backups = backupsAmong(readdirSync(dirname(path)), basename(path))
  const newest = backups.at(-1)?.slice(basename(path).length + 1, basename(path).length + 1 + DATE_CHARACTERS) ?? ''
  // The clock was set back: behind the newest all the same, or this one would be the first to go.
  const dated = `${path}.${newest > dateOf(now) ? secondAfter(newest, now) : dateOf(now)}`
  // Several within one second: behind the last of them, since the first may have been the oldest and gone.
  const last = backups.findLast(name => name.startsWith(basename(dated)))
  if (last === undefined) return dated
  const count = Number(last.slice(basename(dated).length + 1))
  return `${dated}.${String(count + 1).padStart(3, '0')}`
}

function dateOf(date: Date): string {
  return date.toISOString().slice(0, DATE_CHARACTERS).replaceAll(':', '-')
}

/** `now` where that is no date. */
function secondAfter(date: string, now: Date): string {
  const [day, time = ''] = date.split('T')
  const atMs = Date.parse(`${day}T${time.replaceAll('-', ':')}Z`) + 1000
  return atMs < LATEST_MS ? dateOf(new Date(atMs)) : dateOf(now)
}

function removeOldest(path: string, kept: number): void {
  const folder = dirname(path)
  const backups = backupsAmong(readdirSync(folder), basename(path))
  for (const name of backups.slice(0, Math.max(0, backups.length - kept))) {
    const backup = join(folder, name)
    if (lstatSync(backup, { throwIfNoEntry: false })?.isFile()) unlinkSync(backup)
  }
}
