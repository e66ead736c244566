/** The children of this process as the kernel lists them (proc_pid_task_children(5)), whatever code started them. */

import { readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../ground/failure.js'

/**
 * The children of all threads, dead ones too. A child that starts or ends meanwhile may be missing. Null: this kernel
 * does not list them.
 */
export function listChildren(): number[] | null {
  try {
    const threads = readdirSync('/proc/self/task')
    const texts = threads.map(thread => childrenOf(thread))
    return texts.some(text => text === null) ? null : texts.flatMap(text => numbersIn(text ?? ''))
  } catch (error) {
    // ENOENT: a system without /proc.
    if (codeOf(error) !== 'ENOENT') throw error
    return null
  }
}

function childrenOf(thread: string): string | null {
  try {
    return readFileSync(`/proc/self/task/${thread}/children`, 'latin1')
  } catch (error) {
    // ENOENT: the thread has ended, or the kernel was built without CONFIG_PROC_CHILDREN. ESRCH: it ends now.
    if (!['ENOENT', 'ESRCH'].includes(codeOf(error))) throw error
    return Number(thread) === process.pid ? null : ''
  }
}

function numbersIn(text: string): number[] {
  return text.split(' ').filter(Boolean).map(Number)
}
