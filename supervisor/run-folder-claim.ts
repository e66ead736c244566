/**
 * The claim on a run folder: the file `master.pid` with the pid and the start time of the master that uses it. Called by
 * `run-folder.ts`; it decides between two masters that start at the same moment, when no control socket answers yet.
 * Must stay true: a claim appears whole (link(2) of a finished file), and one whose process lives is never taken away.
 */

import { closeSync, constants, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'
import { isAlive, lifeOf, type ProcessLife } from './process-presence.js'

/** File name of the claim; the names of its temporary files begin with it. */
export const claimName = 'master.pid'

/** A claim that we hold; `release` removes it while it is still ours. */
export interface Claim {
  release(): void
}

/** Claims `folder` for the life `life`. Failures: `already-running` (69) with the pid that holds it, `run-folder` (71, 77). */
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
  return { release: () => releaseClaim(path, text) }
}

/** The pid of the living process that holds `folder`, null when nobody does or it cannot be told. */
export function claimHolder(folder: string): number | null {
  try {
    const holder = parseClaim(readText(join(folder, claimName)))
    return holder !== null && isAlive(holder) ? holder.pid : null
  } catch {
    // EACCES, ELOOP: not ours to read.
    return null
  }
}

/** The refusal of a second master on one run folder. */
export function alreadyRunning(folder: string, pid: number): Failure {
  const message = `cannot start: run-dir=${folder}: daimyo already runs with pid ${pid}`
  return new Failure('already-running', message, EXIT.unavailable)
}

/** A claim that was found and whose process is dead. */
interface StaleClaim {
  place: string
  text: string
}

/** Enough rounds: each lost one means that another master was quicker, and its claim is then alive. */
const MOST_ROUNDS = 5

/**
 * A stale claim is never removed before there is another in its place: whoever wants to follow it claims the right to, in a file that is named after it, and
 * only one can. A right whose owner died before it was used is stale in turn. Who has the right and still finds what it has read moves its own claim there.
 */
function placeClaim(folder: string, draft: string, path: string): void {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const stale: StaleClaim[] = []
    const place = findPlace(folder, draft, path, stale)
    if (place === path) return
    if (place === null) continue
    if (stale.every(({ place, text }) => readText(place) === text)) {
      renameSync(place, path)
      for (const { place } of stale.slice(1)) unlinkSync(place)
      return
    }
    unlinkSync(place)
  }
  throw unusable(folder, new Error('another daimyo is starting here'))
}

/** Links the draft to the first name that is free, behind the `stale` ones that it finds; null: what was there has just gone. */
function findPlace(folder: string, draft: string, path: string, stale: StaleClaim[]): string | null {
  for (let place = path; ; ) {
    try {
      linkSync(draft, place)
      return place
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const text = readText(place)
    if (text === null) return null
    const holder = parseClaim(text)
    if (holder !== null && isAlive(holder)) throw alreadyRunning(folder, holder.pid)
    stale.push({ place, text })
    place = `${place}.after-${holder === null ? 'none' : `${holder.pid}-${holder.startTicks}`}`
  }
}

function releaseClaim(path: string, text: string): void {
  try {
    if (readText(path) === text) unlinkSync(path)
  } catch {
    // ENOENT, EACCES, EROFS: a claim left behind is found stale by the next start.
  }
}

function writeDraft(path: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
  const descriptor = openSync(path, flags, 0o644)
  try {
    writeSync(descriptor, text)
  } finally {
    closeSync(descriptor)
  }
}

function readText(path: string): string | null {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      return readFileSync(descriptor, 'latin1').slice(0, 100)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function parseClaim(text: string | null): ProcessLife | null {
  const parts = /^(\d{1,10}) (\d*)\n$/.exec(text ?? '')
  return parts === null ? null : { pid: Number(parts[1]), startTicks: parts[2] ?? '' }
}

function unusable(folder: string, error: unknown): Failure {
  const exitCode = ['EACCES', 'EPERM', 'EROFS', 'ELOOP'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
  return new Failure('run-folder', `cannot use the run folder: run-dir=${folder}: ${reasonOf(error)}`, exitCode, error)
}
