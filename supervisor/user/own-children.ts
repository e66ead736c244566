/**
 * Starts the programs of the master, and keeps their numbers in memory that another thread reads: whoever else is a
 * child of this process was made one by somebody else (clone(2) with CLONE_PARENT).
 *
 * Must stay true: all programs that the running master starts are started here. The memory is changed between two
 * changes of its first word, which is odd meanwhile; so a reader that finds the same even word before and behind its
 * look has seen all children that there were. Nobody but libuv reaps children, and only those that are started here:
 * the number of a strange child is its own until the master ends.
 */

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { type EventEmitter, errorMonitor } from 'node:events'
import { listChildren } from '../../kit/process/child-list.js'
import { explainNoProcess } from './process-limits.js'

/** Asked for where something is started: commands that only ask a master would pay for it. */
const childProcess = () => process.getBuiltinModule('node:child_process')

/** More than a master starts: with more, none is called strange. */
const MOST_CHILDREN = 4096
/** In front of the numbers, a word each: how often they were changed, and whether there were too many. */
const CHANGES = 0
const OVERFLOW = 1
const FIRST = 2

/** The numbers of the children that this process has started itself, or had before it started any. */
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
   * `start` starts a child and says which one it is, or waits for its end itself; null: none is left. Returns what
   * `start` returns.
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

  /** It was reaped. */
  reaped(pid: number): void {
    const at = this.#words.indexOf(pid, FIRST)
    if (at < 0) return
    this.#change(() => {
      this.#words[at] = 0
      this.#free.push(at)
    })
  }

  /** A shell may have started programs before it became this one: `exec daimyo`. */
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

/** Of this process. */
export const ownChildren = new OwnChildren()

/** As `spawn`; an error that no process is left says which limit may be reached. */
export function spawnOwn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const start = () => childProcess().spawn(program, args, options)
  const child = ownChildren.starting(start, ({ pid }) => pid)
  const { pid } = child
  if (pid !== undefined) child.once('exit', () => ownChildren.reaped(pid))
  else (child as EventEmitter).once(errorMonitor, explainNoProcess)
  return child
}

/** As the exit status of `spawnSync`, with no standard streams. */
export function statusOf(program: string, args: readonly string[]): number | null {
  const run = () => childProcess().spawnSync(program, args, { env: {}, stdio: 'ignore' })
  return ownChildren.starting(run, () => undefined).status
}

/**
 * For another thread: the children of this process that are not in that memory; null: it changes just now, or does not
 * hold all.
 */
export function findStrange(memory: SharedArrayBuffer, list = listChildren): number[] | null {
  const words = new Int32Array(memory)
  const before = Atomics.load(words, CHANGES)
  const known = new Set(words.subarray(FIRST))
  const listed = list()
  const isWhole = (before & 1) === 0 && words[OVERFLOW] === 0 && Atomics.load(words, CHANGES) === before
  return isWhole && listed !== null ? listed.filter(pid => !known.has(pid)) : null
}
