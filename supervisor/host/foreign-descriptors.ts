/**
 * Closes descriptors that the program which started the master has left open in it. Node keeps only the low ones, up to
 * the first gap, from its children. The rest would be open in every worker, and in everything that an application
 * starts. They are closed before anything else happens. What must stay true: no descriptor of Node itself is closed,
 * whatever options Node got. A file that was opened for reading is closed in any case.
 */

import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'

/**
 * Flags of open(2) in /proc/PID/fdinfo, which are octal (proc(5)). Node and libuv set O_CLOEXEC on everything that they
 * open. V8 does not.
 */
const CLOSE_ON_EXEC = 0o2000000
const ACCESS_MODE = 0o3

/**
 * Options with which V8 (`--prof`, `--log-…`, `--perf-…`), or maybe a preloaded add-on, writes to files of its own. V8
 * accepts `_` for `-`.
 */
const KEEPS_FILES =
  /(^|[\s"])(-r(?![\w-])|--?(prof|ll[-_]prof|perf|log|logfile|gdbjit|vtune|redirect[-_]code[-_]traces)(?![a-z0-9])|--?(require|import|loader|experimental-loader)\b)/

/** Closes them. If an option makes V8 keep files open, writable descriptors stay: they may be V8's. */
export function closeForeignDescriptors(nodeOptions: string | undefined): void {
  const keepsFiles = mayKeepFiles([...process.execArgv, nodeOptions ?? ''])
  for (const fd of numbersIn('/proc/self/fd')) {
    if (fd <= 2) continue
    const flags = flagsOf(fd)
    if (flags === null || (flags & CLOSE_ON_EXEC) !== 0) continue
    if (!keepsFiles || (flags & ACCESS_MODE) === 0) closeSync(fd)
  }
}

/** Whether one of Node's options makes the process keep files open without O_CLOEXEC. */
export function mayKeepFiles(options: readonly string[]): boolean {
  return options.some(text => KEEPS_FILES.test(text))
}

function numbersIn(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number)
  } catch (error) {
    // ENOENT: the system has no /proc.
    if (codeOf(error) !== 'ENOENT') throw error
    return []
  }
}

/** Null: it was the descriptor of the listing itself. */
function flagsOf(fd: number): number | null {
  try {
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    return Number.parseInt(flags, 8)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return null
  }
}
