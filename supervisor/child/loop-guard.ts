/**
 * Starts the thread that wakes a master whose event loop stands still, and kills its strange children
 * (`loop-guard-thread.ts`). This side counts beats while the loop runs, and logs the kills.
 *
 * It kills nobody in a process that is pid 1: orphans of its container become its children.
 *
 * What must stay true: neither the thread nor the beat keeps the process alive. A thread that cannot be started, or
 * dies, does no harm and is logged once.
 */

import type { Worker } from 'node:worker_threads'
import { reasonOf } from '../../kit/ground/failure.js'
import { builtFile } from '../../kit/ground/places.js'
import type { Log } from '../../kit/log/log.js'
import { listChildren } from '../../kit/process/child-list.js'
import { ownChildren } from '../user/own-children.js'
import { BEATS, WAKING_SIGNAL } from './loop-beats.js'
import type { LoopGuardStart, StrangeChildrenKilled } from './loop-guard-thread.js'

export interface LoopGuardOptions {
  log: Log
  pid?: number
  entry?: string
  list?: () => readonly number[] | null
  /** Between two looks of the thread. */
  lookMs?: number
  /** Between two lines of the log. */
  tellMs?: number
}

const LOOK_MS = 1000
const TELL_MS = 60_000
/** The thread needs almost no memory. */
const SMALL = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 }

/** Returns a function that ends the thread. Nothing has to wait for that. */
export function guardLoop(options: LoopGuardOptions): () => void {
  const { log, pid = process.pid, list = listChildren, lookMs = LOOK_MS, tellMs = TELL_MS } = options
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const words = new Int32Array(beats)
  const tally = new Tally(log, tellMs)
  const beat = setInterval(() => {
    Atomics.add(words, 0, 1)
    tally.tell()
  }, lookMs / BEATS).unref()
  let thread: Worker | null = null
  let isOver = false
  const nothing = () => {}
  process.on(WAKING_SIGNAL, nothing)
  const stop = () => {
    isOver = true
    process.off(WAKING_SIGNAL, nothing)
    clearInterval(beat)
    void thread?.terminate()
  }
  const trouble = (why: string) => {
    if (!isOver) log('strange-children-unwatched', { why })
    stop()
  }
  const isListed = list() !== null
  if (!isListed) log('strange-children-unwatched', { why: 'the kernel does not list children (CONFIG_PROC_CHILDREN)' })
  try {
    const kills = isListed && pid !== 1
    thread = startThread({ beats, children: ownChildren.memory, kills, lookMs }, options.entry)
  } catch (error) {
    trouble(reasonOf(error))
    return stop
  }
  thread.on('message', (killed: StrangeChildrenKilled) => tally.add(killed))
  thread.on('error', error => trouble(reasonOf(error)))
  thread.on('exit', code => trouble(`the thread has ended: code=${code}`))
  thread.unref()
  return stop
}

/**
 * Starts the thread without NODE_OPTIONS. It prints nothing, so the standard streams of the process are not opened for
 * it.
 */
function startThread(workerData: LoopGuardStart, entry = builtFile('supervisor/child/loop-guard-thread.js')): Worker {
  // Loaded only here, so that a start of the master does not pay for it.
  const { Worker } = process.getBuiltinModule('node:worker_threads')
  return new Worker(entry, {
    name: 'daimyo-children',
    execArgv: [],
    env: {},
    stdout: true,
    stderr: true,
    resourceLimits: SMALL,
    workerData,
  })
}

/** The kills since the last line of the log. */
class Tally {
  readonly #log: Log
  readonly #tellMs: number
  #toldMs = Number.NEGATIVE_INFINITY
  #killed: StrangeChildrenKilled = { count: 0, name: '', stillMs: 0 }

  constructor(log: Log, tellMs: number) {
    this.#log = log
    this.#tellMs = tellMs
  }

  add({ count, name, stillMs }: StrangeChildrenKilled): void {
    this.#killed.count += count
    this.#killed.name ||= name
    this.#killed.stillMs = Math.max(this.#killed.stillMs, stillMs)
    this.tell()
  }

  /** Logs the first kill at once. */
  tell(): void {
    const nowMs = performance.now()
    if (this.#killed.count === 0 || nowMs < this.#toldMs + this.#tellMs) return
    this.#toldMs = nowMs
    this.#log('strange-children-killed', { ...this.#killed })
    this.#killed = { count: 0, name: '', stillMs: 0 }
  }
}
