/**
 * The claim on a run folder: the file `master.pid` with the pid and the start time of the master that uses the folder.
 * It decides between two masters that start at the same moment, when no control socket answers yet.
 *
 * What must stay true: a claim appears whole (link(2) of a finished file), and a claim of a living process is never
 * taken away. A claim counts only if it is a regular file of root or of our user and names a process of the file's
 * owner. So a planted file, FIFO or link neither blocks a start nor makes it wait.
 */

import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { isAlive, lifeOf, type ProcessLife, userOf } from '../host/process-presence.js'
import { namesIn } from '../user/folder-names.js'
import { findNoRoom } from '../user/room-left.js'

/** File name of the claim; the names of its temporary files begin with it. */
export const claimName = 'master.pid'

/** The name of a claim, or of one of its temporary files. */
export function isClaimName(name: string): boolean {
  return name === claimName || name.startsWith(`${claimName}.`)
}

/**
 * Removes the unfinished claims of masters that died while they claimed the folder. Only the holder of the claim does
 * this. It looks at the first names of the folder only.
 */
export function removeDrafts(folder: string): void {
  const drafts = namesIn(folder).names.filter(name => isClaimName(name) && name.endsWith('.new'))
  for (const name of drafts) {
    const pid = Number(name.split('.').at(-2))
    if (lifeOf(pid) === null || userOf(pid) !== process.geteuid?.()) removeFile(join(folder, name))
  }
}

/** A claim that we hold, unless somebody has removed it; `release` removes it while it is still ours. */
export interface Claim {
  isThere(): boolean
  release(): void
}

/**
 * Claims `folder` for the life `life`. Failures: `already-running` (69) with the pid that holds it, `run-folder` (71,
 * 77).
 */
export function claimFolder(
  folder: string,
  life: ProcessLife = lifeOf(process.pid) ?? { pid: process.pid, startTicks: '' },
): Claim {
  const path = join(folder, claimName)
  const text = `${life.pid} ${life.startTicks}\n`
  const draft = `${path}.${life.pid}.new`
  try {
    writeDraft(draft, text)
    try {
      placeClaim(folder, draft, path)
    } finally {
      unlinkSync(draft)
    }
  } catch (error) {
    throw error instanceof Failure ? error : unusable(folder, error)
  }
  return { isThere: () => isOurs(path, text), release: () => releaseClaim(path, text) }
}

/** The pid of the living process that holds `folder`; null if nobody does or it cannot be known. */
export function claimHolder(folder: string): number | null {
  try {
    const claim = readClaim(join(folder, claimName))
    return claim !== null && isHeld(claim) ? (claim.holder?.pid ?? null) : null
  } catch {
    // EACCES, ELOOP: we may not read it.
    return null
  }
}

/** The refusal of a second master on one run folder. */
export function alreadyRunning(folder: string, pid: number): Failure {
  const message = `cannot start: run-dir=${folder}: daimyo already runs with pid ${pid}`
  return new Failure('already-running', message, EXIT.unavailable)
}

/** A claim whose process is dead. */
interface StaleClaim {
  place: string
  text: string
}

/** A round is lost only to a faster master, whose claim is then alive. So few rounds are enough. */
const MOST_ROUNDS = 5

/**
 * A stale claim stays until another claim replaces it. A master that wants to replace it first links a file that is
 * named after the stale claim. Only one master can make that link, so only that one may replace the claim. If it died
 * before it did so, its link is stale too, and the next link is named after that one. Before the rename, the winner
 * checks that all stale claims are as it read them.
 */
function placeClaim(folder: string, draft: string, path: string): void {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const stale: StaleClaim[] = []
    const place = findPlace(folder, draft, path, stale)
    if (place === path) return
    if (place === null) continue
    if (stale.every(({ place, text }) => readClaim(place)?.text === text)) {
      renameSync(place, path)
      for (const { place } of stale.slice(1)) unlinkSync(place)
      return
    }
    unlinkSync(place)
  }
  throw unusable(folder, new Error('another daimyo is starting here'))
}

/** Links the draft to the first free name after the `stale` claims that it finds. Null: a claim vanished meanwhile. */
function findPlace(folder: string, draft: string, path: string, stale: StaleClaim[]): string | null {
  for (let place = path; ; ) {
    try {
      linkSync(draft, place)
      return place
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const claim = readClaim(place)
    if (claim === null) return null
    const { holder, text } = claim
    if (holder !== null && isHeld(claim)) throw alreadyRunning(folder, holder.pid)
    stale.push({ place, text })
    place = `${place}.after-${holder === null ? 'none' : `${holder.pid}-${holder.startTicks}`}`
  }
}

function isOurs(path: string, text: string): boolean {
  try {
    return readClaim(path)?.text === text
  } catch {
    // EACCES, ELOOP: it belongs to somebody else.
    return false
  }
}

function releaseClaim(path: string, text: string): void {
  try {
    if (readClaim(path)?.text === text) unlinkSync(path)
  } catch {
    // ENOENT, EACCES, EROFS: a claim that stays is stale, and the next start replaces it.
  }
}

function writeDraft(path: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_NONBLOCK
  // A file of this name is from a dead master that had our pid, or it was planted.
  removeFile(path)
  const descriptor = openSync(path, flags, 0o644)
  try {
    writeSync(descriptor, text)
  } finally {
    closeSync(descriptor)
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // EISDIR, EPERM: it is a folder, so it is no draft.
    if (!['ENOENT', 'EISDIR', 'EPERM'].includes(codeOf(error))) throw error
  }
}

/** The file at the place of a claim. `holder` null: it is no claim. */
interface FoundClaim {
  text: string
  uid: number
  holder: ProcessLife | null
}

function readClaim(path: string): FoundClaim | null {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stats = fstatSync(descriptor)
      const { uid } = stats
      const isClaim = stats.isFile() && [0, process.geteuid?.()].includes(uid)
      const text = isClaim ? readStart(descriptor) : ''
      return { text, uid, holder: parseClaim(text) }
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    // ENXIO: it is a socket.
    if (codeOf(error) === 'ENXIO') return { text: '', uid: 0, holder: null }
    throw error
  }
}

function readStart(descriptor: number): string {
  const bytes = Buffer.alloc(100)
  return bytes.toString('latin1', 0, readSync(descriptor, bytes, 0, bytes.length, 0))
}

/** The process lives and belongs to the file's owner: a user can claim a folder only for itself. */
function isHeld({ uid, holder }: FoundClaim): boolean {
  if (holder === null || !isAlive(holder)) return false
  const user = userOf(holder.pid)
  return user === null || user === uid
}

function parseClaim(text: string): ProcessLife | null {
  const parts = /^(\d{1,10}) (\d*)\n$/.exec(text)
  return parts === null ? null : { pid: Number(parts[1]), startTicks: parts[2] ?? '' }
}

function unusable(folder: string, error: unknown): Failure {
  const exitCode = ['EACCES', 'EPERM', 'EROFS', 'ELOOP'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
  const why = reasonOf(error)
  const noRoom = findNoRoom(folder, why)
  const told = noRoom === null ? why : `${noRoom.why}: ${noRoom.remedy}: ${why}`
  return new Failure('run-folder', `cannot use the run folder: run-dir=${folder}: ${told}`, exitCode, error)
}
