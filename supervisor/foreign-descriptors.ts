/**
 * Descriptors that whoever started the master has left open in it. Node keeps the low ones from children, as far as they have no gap; the rest would be open
 * in every worker, and in all that an application starts. Called by `run-command.ts` first of all.
 */

import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../kit/failure.js'

/** The flag of open(2) in /proc/PID/fdinfo, which is octal (proc(5)): not for children. Node and libuv set it wherever they open something. */
const CLOSE_ON_EXEC = 0o2000000

/** Closes them. Node with arguments may have files of its own open, such as those of `--prof`: then all stays. */
export function closeForeignDescriptors(nodeOptions: string | undefined): void {
  if (process.execArgv.length > 0 || nodeOptions) return
  for (const fd of numbersIn('/proc/self/fd')) {
    if (fd > 2 && isForChildren(fd)) closeSync(fd)
  }
}

function numbersIn(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number)
  } catch (error) {
    // ENOENT: a system without /proc.
    if (codeOf(error) !== 'ENOENT') throw error
    return []
  }
}

function isForChildren(fd: number): boolean {
  try {
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    return (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0
  } catch (error) {
    // ENOENT: it was the one of the listing.
    if (codeOf(error) !== 'ENOENT') throw error
    return false
  }
}
