/**
 * Moves this process to the CPUs that the master chose for it (`cpu-affinity`), by taskset of util-linux: Node has no
 * sched_setaffinity(2). Before the application is loaded, so that its processes inherit it.
 */

import { codeOf, reasonOf } from '../../../kit/ground/failure.js'
import { SYSTEM_PATH } from '../../../kit/ground/system-path.js'
import { isMastersSignal } from '../../../kit/process/masters-signals.js'

/** It makes only a few system calls. */
const LONGEST_MS = 5000

/**
 * Moves all threads of the process. Returns the reason of a failure, or null. A signal for the master that hits taskset
 * (`systemctl kill`) is forgiven once.
 */
export function moveToCpus(cpus: readonly number[], path = SYSTEM_PATH, mayTryAgain = true): string | null {
  const args = ['-a', '-c', '-p', cpus.join(','), String(process.pid)]
  // Here, because few sites ask for it and every start would pay for it.
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  try {
    execFileSync('taskset', args, {
      env: { PATH: path },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    })
    return null
  } catch (error) {
    const { signal = null } = error as { signal?: string | null }
    if (mayTryAgain && isMastersSignal(signal)) return moveToCpus(cpus, path, false)
    if (codeOf(error) === 'ENOENT') return 'taskset is not installed (util-linux)'
    return reasonOf(error).trim().split('\n').at(-1) ?? ''
  }
}
