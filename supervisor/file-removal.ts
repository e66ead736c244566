/**
 * Removes files whose content others have written, without waiting until the file system has freed their blocks: for a file in thousands of pieces that takes
 * seconds. The file is held open (O_PATH) while its name is removed, which is quick; its blocks are freed when the descriptor is closed, in a thread of
 * Node's pool. No path is looked at there, so it does not matter who the process is at that moment (`service-user.ts`).
 * Must stay true: one descriptor is closed at a time, so the other threads stay free; so many wait at most.
 */

import { close, closeSync, constants, fstatSync, openSync, unlinkSync } from 'node:fs'
import { codeOf } from '../kit/failure.js'
import { O_PATH } from './service-user.js'

/** `busy`: as many files as may wait do, and nothing was done. */
export type Removal = 'removed' | 'missing' | 'not-a-file' | 'busy'

/** Of the whole process: each holds a descriptor. */
export const MOST_WAITING = 32

const waiting: number[] = []
let isClosing = false

/** Removes the regular file `path`, and nothing else. Throws what open(2) and unlink(2) say, but for ENOENT. */
export function removeFile(path: string): Removal {
  if (waiting.length >= MOST_WAITING) return 'busy'
  const held = hold(path)
  if (held === null) return 'missing'
  try {
    if (!fstatSync(held).isFile()) return 'not-a-file'
    unlinkSync(path)
    return 'removed'
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return 'missing'
  } finally {
    release(held)
  }
}

/** `work` may replace or remove what `path` names; its blocks are freed afterwards, as by `removeFile`. */
export function holdingFile<T>(path: string, work: () => T): T {
  const held = waiting.length >= MOST_WAITING ? null : hold(path)
  try {
    return work()
  } finally {
    if (held !== null) release(held)
  }
}

/** How many files wait until their blocks are freed. */
export function filesWaiting(): number {
  return waiting.length
}

/** Null: there is nothing. */
function hold(path: string): number | null {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return null
  }
}

/** A file that has no blocks and no length has nothing to free. */
function release(held: number): void {
  const { size, blocks } = fstatSync(held)
  if (size === 0 && blocks === 0) return closeSync(held)
  waiting.push(held)
  closeNext()
}

function closeNext(): void {
  const [held] = waiting
  if (isClosing || held === undefined) return
  isClosing = true
  close(held, () => {
    isClosing = false
    waiting.shift()
    closeNext()
  })
}
