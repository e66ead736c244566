/**
 * Processes that the application of an ended worker started and did not end. What must stay true: this check follows
 * the end of each worker, however it ended, and logs what it finds. It ends these processes unless `keep-children` says
 * otherwise. `areGone` is true only when no check and no kill is under way.
 */

import {
  CHILDREN_MERCY_MS,
  endSession,
  processesOfSession,
  type SessionProcess,
} from '../../kit/process/session-processes.js'
import type { MasterContext } from '../child/master-context.js'

/** As the log names a worker. */
export interface EndedWorker {
  slot: number
  pid: number
  generation: number
}

/**
 * `startTicks`: the start time of the worker's process. Null: the kernel did not tell it. The process of a worker that
 * was given up may still live, and the start time tells it from another process with its pid (`session-processes.ts`).
 */
type SweptWorker = EndedWorker & { startTicks: string | null }

/** This many names are logged. The rest is counted. */
const MOST_NAMES = 5

/** The remains of all workers of a master. */
export class WorkerRemains {
  readonly #context: Pick<MasterContext, 'log' | 'put'>
  #sweeps = 0
  #isHurried = false

  constructor(context: Pick<MasterContext, 'log' | 'put'>) {
    this.#context = context
  }

  get areGone(): boolean {
    return this.#sweeps === 0
  }

  /** The worker was reaped or given up. `keeps`: what it left is only logged. */
  sweep({ startTicks, ...worker }: SweptWorker, keeps: boolean): void {
    this.#sweeps++
    void this.#end(worker, startTicks, keeps).finally(() => {
      this.#sweeps--
      this.#context.put({ type: 'tick' })
    })
  }

  /** From now on remains are killed at once, without mercy. */
  hurry(): void {
    this.#isHurried = true
  }

  async #end(worker: EndedWorker, startTicks: string | null, keeps: boolean): Promise<void> {
    const found = await processesOfSession(worker.pid, startTicks)
    if (found.length === 0) return
    const { log } = this.#context
    log('worker-left-processes', { ...worker, ...described(found), why: keeps ? 'kept' : 'ended' })
    if (keeps) return
    const { killed, left } = await endSession(worker.pid, found, CHILDREN_MERCY_MS, () => this.#isHurried, startTicks)
    if (killed.length > 0) log('worker-processes-killed', { ...worker, ...described(killed) })
    if (left.length > 0) log('worker-processes-stay', { ...worker, ...described(left) })
  }
}

/**
 * Processes are named without their command lines, which may hold secrets. A process chooses its own name, so
 * characters that would look like the next entry are replaced.
 */
export function described(processes: readonly Pick<SessionProcess, 'pid' | 'name'>[]): {
  processes: number
  names: string
} {
  const names = processes.slice(0, MOST_NAMES).map(({ pid, name }) => `${name.replace(/[^ -~]|[,:]/g, '?')}:${pid}`)
  const rest = processes.length > MOST_NAMES ? ',…' : ''
  return { processes: processes.length, names: `${names.join(',')}${rest}` }
}
