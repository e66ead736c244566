/**
 * Starts the programs of the master, and keeps their pids in memory that another thread reads. Any other child of this
 * process was made by another process (clone(2) with CLONE_PARENT).
 *
 * What must stay true: all programs of the running master are started here. The first word of the memory grows by one
 * before and after each change, so it is odd during a change. A reader that finds the same even word before and after
 * its look has seen all children. Only libuv reaps children, and only those that are started here: a strange child
 * keeps its pid until the master ends.
 */

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { type EventEmitter, errorMonitor } from 'node:events'
import { listChildren } from '../../kit/process/child-list.js'
import { isDead, readProcessStat } from '../../kit/process/process-stat.js'
import { explainNoProcess } from './process-limits.js'

/** Loaded when it is first needed, so that a command that only asks a master does not pay for it. */
const childProcess = () => process.getBuiltinModule('node:child_process')

/** More children than a master starts. With more of them, no child counts as strange. */
const MOST_CHILDREN = 4096
/** Two words come before the pids: the count of changes, and whether the memory is full. */
const CHANGES = 0
const OVERFLOW = 1
const FIRST = 2

/** The pids of the children that this process started, or had before its first start. */
export class OwnChildren {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #free: number[] = []
  #next = FIRST
  #hasStarted = false

  constructor(most = MOST_CHILDREN) {
    this.memory = new SharedArrayBuffer((FIRST + most) * Int32Array.BYTES_PER_ELEMENT)
    this.#words = new Int32Array(this.memory)
  }

  /**
   * Runs `start` and returns its result. `pidOf` gives the pid of the new child; undefined: `start` has waited for its
   * end.
   */
  starting<T>(start: () => T, pidOf: (started: T) => number | undefined): T {
    if (!this.#hasStarted) this.#keepFormer()
    return this.#change(() => {
      const started = start()
      const pid = pidOf(started)
      if (pid !== undefined) this.#keep(pid)
      return started
    })
  }

  /** The child was reaped. */
  reaped(pid: number): void {
    const at = this.#words.indexOf(pid, FIRST)
    if (at < 0) return
    this.#change(() => {
      this.#words[at] = 0
      this.#free.push(at)
    })
  }

  /** A shell may have started programs before it became this process: `exec daimyo`. */
  #keepFormer(): void {
    this.#hasStarted = true
    for (const pid of listChildren() ?? []) this.#keep(pid)
  }

  #keep(pid: number): void {
    const at = this.#free.pop() ?? this.#next++
    if (at < this.#words.length) this.#words[at] = pid
    else this.#words[OVERFLOW] = 1
  }

  #change<T>(work: () => T): T {
    Atomics.add(this.#words, CHANGES, 1)
    try {
      return work()
    } finally {
      Atomics.add(this.#words, CHANGES, 1)
    }
  }
}

/** The children of this process. */
export const ownChildren = new OwnChildren()

/** Like `spawn`. If no process is left, the error names the limit that may be reached. */
export function spawnOwn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const start = () => childProcess().spawn(program, args, options)
  const child = ownChildren.starting(start, ({ pid }) => pid)
  const { pid } = child
  if (pid !== undefined) {
    const startTicks = readProcessStat(pid)?.startTicks
    child.once('exit', () => {
      ownChildren.reaped(pid)
      endUnended(pid, startTicks)
    })
  } else (child as EventEmitter).once(errorMonitor, explainNoProcess)
  return child
}

/**
 * If a child makes us its tracer (PTRACE_TRACEME), libuv takes its stop for its exit, and nothing would watch that
 * process any more. Another thread of the child may have gone on in a new program (execve(2)) since. So a process that
 * has not ended is killed. Its pid is not reused while it is our child.
 */
function endUnended(pid: number, startTicks: string | undefined): void {
  const stat = readProcessStat(pid)
  if (stat?.parent === process.pid && stat.startTicks === startTicks && !isDead(stat)) process.kill(pid, 'SIGKILL')
}

/** The exit status as of `spawnSync`, without standard streams. */
export function statusOf(program: string, args: readonly string[]): number | null {
  const run = () => childProcess().spawnSync(program, args, { env: {}, stdio: 'ignore' })
  return ownChildren.starting(run, () => undefined).status
}

/**
 * For another thread: the children of this process that the memory does not list. Null: the memory is being changed, or
 * is full.
 */
export function findStrange(memory: SharedArrayBuffer, list = listChildren): number[] | null {
  const words = new Int32Array(memory)
  const before = Atomics.load(words, CHANGES)
  const known = new Set(words.subarray(FIRST))
  const listed = list()
  const isWhole = (before & 1) === 0 && words[OVERFLOW] === 0 && Atomics.load(words, CHANGES) === before
  return isWhole && listed !== null ? listed.filter(pid => !known.has(pid)) : null
}
