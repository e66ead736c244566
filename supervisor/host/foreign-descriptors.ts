/**
 * Descriptors that whoever started the master has left open in it. Node keeps the low ones from children, as far as
 * they have no gap; the rest would be open in every worker, and in all that an application starts. They are closed
 * before anything else happens. Must stay true: no descriptor of Node's own is closed, whatever options Node was given;
 * a file that the caller opened for reading is closed in any case.
 */

import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'

/**
 * Flags of open(2) in /proc/PID/fdinfo, which are octal (proc(5)). Node and libuv set "not for children" wherever they
 * open something; V8 does not.
 */
const CLOSE_ON_EXEC = 0o2000000
const ACCESS_MODE = 0o3

/**
 * Options with which V8 writes to files of its own (`--prof`, `--log-…`, `--perf-…`), or a preloaded add-on may. V8
 * takes `_` for `-`.
 */
const KEEPS_FILES =
  /(^|[\s"])(-r(?![\w-])|--?(prof|ll[-_]prof|perf|log|logfile|gdbjit|vtune|redirect[-_]code[-_]traces)(?![a-z0-9])|--?(require|import|loader|experimental-loader)\b)/

/** Closes them. With an option that makes V8 keep files open, those stay that may be written to: they may be V8's. */
export function closeForeignDescriptors(nodeOptions: string | undefined): void {
  const keepsFiles = mayKeepFiles([...process.execArgv, nodeOptions ?? ''])
  for (const fd of numbersIn('/proc/self/fd')) {
    if (fd <= 2) continue
    const flags = flagsOf(fd)
    if (flags === null || (flags & CLOSE_ON_EXEC) !== 0) continue
    if (!keepsFiles || (flags & ACCESS_MODE) === 0) closeSync(fd)
  }
}

/** Whether one of Node's options makes the process keep files open that are not marked as Node's. */
export function mayKeepFiles(options: readonly string[]): boolean {
  return options.some(text => KEEPS_FILES.test(text))
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

/** Null: it was the one of the listing. */
function flagsOf(fd: number): number | null {
  try {
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    return Number.parseInt(flags, 8)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return null
  }
}
