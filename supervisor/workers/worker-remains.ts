/**
 * What workers that have ended leave behind: the processes that the application started and did not end. Must stay
 * true: each worker's end is followed, whatever the end was, and what is found is told; it is ended unless
 * `keep-children` says otherwise; `areGone` is true only when nothing is looked for or ended any more.
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
 * `startTicks`: of its process, null where the kernel did not tell. That process may not look dead
 * (`session-processes.ts`).
 */
type SweptWorker = EndedWorker & { startTicks: string | null }

/** Names of so many are told, the rest is counted. */
const MOST_NAMES = 5

/** Of all workers of a master. */
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

  /** The worker was reaped, or is given up. `keeps`: what it left is told only. */
  sweep({ startTicks, ...worker }: SweptWorker, keeps: boolean): void {
    this.#sweeps++
    void this.#end(worker, startTicks, keeps).finally(() => {
      this.#sweeps--
      this.#context.put({ type: 'tick' })
    })
  }

  /** Nobody is waited for any more: SIGKILL at once, also for those to come. */
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
 * By name only: a command line may hold secrets. A process chooses its name; what would look like the next one is left
 * out.
 */
export function described(processes: readonly Pick<SessionProcess, 'pid' | 'name'>[]): {
  processes: number
  names: string
} {
  const names = processes.slice(0, MOST_NAMES).map(({ pid, name }) => `${name.replace(/[^ -~]|[,:]/g, '?')}:${pid}`)
  const rest = processes.length > MOST_NAMES ? ',…' : ''
  return { processes: processes.length, names: `${names.join(',')}${rest}` }
}
