/**
 * Explains ENOSPC and EDQUOT: which file system is full, of what, whose files fill it, and what to do. Used when the
 * start of a master or of a child finds no space in the run folder. The service's user may fill its part `workers/`.
 *
 * What must stay true: it looks only at the run folder, which is the master's own, and never reads the user's folder in
 * it.
 */

import { type StatsFs, statfsSync } from 'node:fs'

/** `remedy`: what to do, and what happens without it. */
export interface NoRoom {
  why: string
  /** The file system confirms that it is full. It never shows a quota. */
  isSeen: boolean
  remedy: string
}

/** Null: `error`, a text of the system or of a program, has another reason. */
export function findNoRoom(folder: string, error: string, lookAt: typeof statfs = statfs): NoRoom | null {
  const isQuota = /\bEDQUOT\b|disk quota exceeded/i.test(error)
  if (!isQuota && !/\bENOSPC\b|no space left on device/i.test(error)) return null
  const lacks = lacksOf(lookAt(folder))
  const what = isQuota ? 'the quota on the file system' : 'the file system'
  return {
    why: `${what} of run-dir is used up: ${folder}: ${tellLacks(lacks)}`,
    isSeen: lacks !== null && lacks.length > 0,
    remedy: `make room there (df ${folder}; df -i ${folder}; du --inodes -x ${folder}; the service's user may write to ${folder}/workers), or set run-dir to a file system of its own`,
  }
}

type Figures = Pick<StatsFs, 'blocks' | 'bavail' | 'files' | 'ffree'>

/** Null: the folder cannot be looked at. */
function statfs(folder: string): Figures | null {
  try {
    return statfsSync(folder)
  } catch {
    // ENOENT: the folder was never made.
    return null
  }
}

/** Null: unknown. Some file systems count no inodes: they report 0 of 0. */
function lacksOf(figures: Figures | null): string[] | null {
  if (figures === null) return null
  const { blocks, bavail, files, ffree } = figures
  return [
    ...(files > 0 && ffree === 0 ? [`all of its ${files} inodes (files) are taken`] : []),
    ...(bavail === 0 ? [`all of its ${blocks} blocks are taken`] : []),
  ]
}

function tellLacks(lacks: string[] | null): string {
  if (lacks === null) return 'there is no room'
  return lacks.length === 0 ? 'there was no room at that moment' : lacks.join(', ')
}
