/**
 * Acts on the memory of the workers after each reading (`process-usage.ts`): `reload-on-rss`, `evil-reload-on-rss` and
 * `memory-report`.
 */

import type { MasterContext } from '../child/master-context.js'
import type { ProcessUsage, Usage } from '../host/process-usage.js'
import { judgeMemory } from './recycling.js'
import type { WorkerHandle } from './worker-handle.js'
import type { Workers } from './workers.js'

/** Between two lines of `memory-report` about one worker. */
export const REPORT_EVERY_MS = 60_000

/** The memory watch of one master. */
export class MemoryWatch {
  readonly #context: MasterContext
  readonly #workers: Workers
  readonly #usage: ProcessUsage
  readonly #reportedMs = new WeakMap<WorkerHandle, number>()

  constructor(context: MasterContext, workers: Workers, usage: ProcessUsage) {
    this.#context = context
    this.#workers = workers
    this.#usage = usage
  }

  /** Takes new figures. Loading workers are left out: they are bounded by their start deadline. */
  look(isReporting: boolean): void {
    for (const worker of this.#workers.all()) {
      const usage = this.#usage.of(worker.pid)
      if (usage === null || worker.life.readyMs === null) continue
      if (isReporting) this.#tell(worker, usage)
      this.#judge(worker, usage)
    }
  }

  #tell(worker: WorkerHandle, usage: Usage): void {
    const nowMs = this.#context.nowMs()
    if (nowMs - (this.#reportedMs.get(worker) ?? Number.NEGATIVE_INFINITY) < REPORT_EVERY_MS) return
    this.#reportedMs.set(worker, nowMs)
    this.#report('memory-report', worker, usage)
  }

  #judge(worker: WorkerHandle, usage: Usage): void {
    const verdict = judgeMemory(usage.rssBytes, worker.generation.settings)
    if (verdict === 'kill' && worker.life.phase !== 'killed') {
      this.#report('worker-memory-high', worker, usage, 'evil-reload-on-rss')
      this.#workers.apply(worker, { type: 'kill', why: 'evil-reload-on-rss' })
    } else if (verdict === 'replace' && worker.life.phase === 'ready' && worker.recycle === null) {
      this.#report('worker-memory-high', worker, usage, 'reload-on-rss')
      worker.askForNext('reload-on-rss')
    }
  }

  #report(event: string, { address }: WorkerHandle, { rssBytes, cpuPercent }: Usage, why?: string): void {
    const { slot, pid, generation } = address
    this.#context.log(event, { slot, pid, generation, rssBytes, cpuPercent, why })
  }
}
