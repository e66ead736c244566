/**
 * Moves this process to the CPUs that the master chose for it (`cpu-affinity`), by taskset of util-linux: Node has no sched_setaffinity(2).
 * Called by `main.ts` before the application is loaded; what the application starts inherits it.
 */

import { execFileSync } from 'node:child_process'
import { codeOf, reasonOf } from '../../kit/failure.js'

/** Not the PATH of the application: this may run as root. */
const SYSTEM_PATH = '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin'
/** It is a few system calls. */
const LONGEST_MS = 5000

/** Moves all its threads; returns why not, or null. */
export function moveToCpus(cpus: readonly number[], path = SYSTEM_PATH): string | null {
  const args = ['-a', '-c', '-p', cpus.join(','), String(process.pid)]
  try {
    execFileSync('taskset', args, { env: { PATH: path }, stdio: ['ignore', 'ignore', 'pipe'], timeout: LONGEST_MS })
    return null
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'taskset is not installed (util-linux)'
    return reasonOf(error).trim().split('\n').at(-1) ?? ''
  }
}
