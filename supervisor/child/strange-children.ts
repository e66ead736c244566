/**
 * Starts the thread that kills strange children of a master whose event loop stands still
 * (`strange-children-thread.ts`). This side counts beats while the loop runs, and logs the kills.
 *
 * It does nothing in a process that is pid 1: orphans of its container become its children.
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
import { BEATS } from './loop-beats.js'
import type { StrangeChildrenKilled, StrangeChildrenStart } from './strange-children-thread.js'

export interface StrangeChildrenOptions {
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
export function endStrangeChildren(options: StrangeChildrenOptions): () => void {
  const { log, pid = process.pid, list = listChildren, lookMs = LOOK_MS, tellMs = TELL_MS } = options
  if (pid === 1) return () => {}
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const words = new Int32Array(beats)
  const tally = new Tally(log, tellMs)
  const beat = setInterval(() => {
    Atomics.add(words, 0, 1)
    tally.tell()
  }, lookMs / BEATS).unref()
  let thread: Worker | null = null
  let isOver = false
  const stop = () => {
    isOver = true
    clearInterval(beat)
    void thread?.terminate()
  }
  const trouble = (why: string) => {
    if (!isOver) log('strange-children-unwatched', { why })
    stop()
  }
  if (list() === null) {
    trouble('the kernel does not list children (CONFIG_PROC_CHILDREN)')
    return stop
  }
  try {
    thread = startThread({ beats, children: ownChildren.memory, lookMs }, options.entry)
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
function startThread(
  workerData: StrangeChildrenStart,
  entry = builtFile('supervisor/child/strange-children-thread.js'),
): Worker {
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
