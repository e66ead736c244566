/**
 * Limits that all processes inherit from the master: umask, niceness, the limit of open files. `run-command.ts` sets
 * them before it starts anything.
 */

import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { setPriority } from 'node:os'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { SYSTEM_PATH } from '../../kit/ground/system-path.js'
import type { SettingsFor } from '../../kit/options/settings.js'

/** Null: unchanged. */
export type InheritedLimits = Pick<SettingsFor<'master', object>, 'umask' | 'prio' | 'maxFd'>

/**
 * Sets the limits for this process, and so for all that it starts. Failure `limit`: 77 if it is not permitted,
 * otherwise 71.
 */
export function setInheritedLimits({ umask, prio, maxFd }: InheritedLimits): void {
  if (umask !== null) process.umask(umask)
  if (prio !== null) attempt(`prio=${prio}`, () => setPriority(0, prio))
  // Node has no setrlimit(2), so prlimit(1) does it.
  if (maxFd !== null) {
    const args = [`--pid=${process.pid}`, `--nofile=${maxFd}:${maxFd}`]
    const options = { env: { PATH: SYSTEM_PATH }, stdio: ['ignore', 'ignore', 'pipe'] } satisfies ExecFileSyncOptions
    attempt(`max-fd=${maxFd}`, () => execFileSync('prlimit', args, options))
  }
}

function attempt(what: string, set: () => unknown): void {
  try {
    set()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new Failure('limit', `cannot set: ${what}: prlimit is not installed (util-linux)`, EXIT.os, error)
    }
    const why = reasonOf(error).trim().split('\n').at(-1) ?? ''
    const isDenied = /EACCES|EPERM|not permitted|denied/i.test(why)
    throw new Failure('limit', `cannot set: ${what}: ${why}`, isDenied ? EXIT.permission : EXIT.os, error)
  }
}
