/**
 * The descriptors of this process: how many it may have, and how to see that there is none left. `accept-gate.ts` sees
 * to it that there always is one; code that opens files and sockets may find none all the same.
 */

import { closeSync, openSync, readFileSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'

/** The soft limit, as the kernel has it; throws EMFILE if there is no descriptor to read it with. */
export function descriptorLimit(): number {
  const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? []
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
}

/** The number that the next descriptor would get; infinite: there is none. */
export function lowestFreeDescriptor(): number {
  try {
    const fd = openSync('/dev/null', 'r')
    closeSync(fd)
    return fd
  } catch (error) {
    if (!isOutOfDescriptors(error)) throw error
    return Number.POSITIVE_INFINITY
  }
}

/** Whether something failed for want of a descriptor, of this process or of the machine. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EMFILE' || code === 'ENFILE'
}
