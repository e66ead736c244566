/**
 * Heap snapshots of workers that leaked (`leak-autopsy`): whether a worker may write one, where, and what is kept. The
 * worker itself writes, after its last request and before its exit. Must stay true: one at a time and one an hour at
 * most, never more files than asked for, never the last of the disk; and of the folder nothing is touched that does not
 * have a name of ours. All of it is done as the service's user, whose workers write there: a folder that they have
 * filled with names is refused. Where that is another user, another process looks (`task-children.ts`).
 */

import { lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import type { MasterContext } from '../child/master-context.js'
import { removals } from '../user/file-removal.js'
import { CROWDED } from '../user/folder-names.js'
import { type AutopsyFolder, autopsyTask, type Snapshot } from './autopsy-folder.js'
import type { WorkerHandle } from './worker-handle.js'

/** What is known when a worker asks. Sizes in bytes. */
export interface AutopsyFacts {
  /** Since the last one began, infinite when there was none. */
  sinceMs: number
  isRunning: boolean
  freeBytes: number
  /** What the snapshot may need: text about a heap is larger than the heap. */
  neededBytes: number
}

/** Between two snapshots: each holds a process up, and two of the same leak say the same. */
export const AUTOPSY_EVERY_MS = 3_600_000

/** How long its worker waits to be told: its time to end goes on meanwhile. */
const LOOK_MS = 5000

/** What must be free besides. */
const SPARE_BYTES = 256 * 1024 ** 2

/** Why no snapshot is written now, null: it may be. Pure. */
export function whyNoAutopsy({ sinceMs, isRunning, freeBytes, neededBytes }: AutopsyFacts): string | null {
  if (isRunning) return 'another-is-written'
  if (sinceMs < AUTOPSY_EVERY_MS) return 'one-an-hour'
  return freeBytes < neededBytes + SPARE_BYTES ? 'disk-lacks-room' : null
}

/** Of one master. */
export class LeakAutopsies {
  readonly #context: MasterContext
  #lastMs = Number.NEGATIVE_INFINITY
  #running: { worker: WorkerHandle; path: string } | null = null
  readonly #ended = new WeakSet<WorkerHandle>()

  constructor(context: MasterContext) {
    this.#context = context
  }

  /**
   * Where a worker that is told to exit writes its snapshot first; null: nowhere. A promise, which never rejects, where
   * another process looks at the folder.
   */
  begin(worker: WorkerHandle): string | null | Promise<string | null> {
    const { leakAutopsy: folder, credentials } = worker.generation.settings
    if (folder === null || worker.life.why !== 'reload-on-rss') return null
    const request = { folder, credentials }
    const refuse = (error: unknown) => this.#refuse(worker, reasonOf(error))
    const judge = (seen: AutopsyFolder) => this.#judge(worker, folder, seen)
    if (isOthers(credentials)) {
      const options = { credentials, what: `leak-autopsy=${folder}`, withinMs: LOOK_MS }
      return this.#context.tasks.run(autopsyTask, request, options).then(
        // It may have ended meanwhile.
        seen => (this.#ended.has(worker) ? null : judge(seen)),
        refuse,
      )
    }
    try {
      return judge(autopsyTask.work(request))
    } catch (error) {
      return refuse(error)
    }
  }

  #judge(worker: WorkerHandle, folder: string, { kept, freeBytes }: AutopsyFolder): string | null {
    const { leakAutopsyFiles, reloadOnRssBytes, credentials } = worker.generation.settings
    const { slot, pid } = worker.address
    if (kept === null) return this.#refuse(worker, `${folder}: ${CROWDED}`)
    const why = whyNoAutopsy({
      sinceMs: kept.map(ageOf).reduce((least, age) => Math.min(least, age), this.#context.nowMs() - this.#lastMs),
      isRunning: this.#running !== null,
      freeBytes,
      neededBytes: 2 * reloadOnRssBytes,
    })
    if (why !== null) return this.#refuse(worker, why)
    const excess = kept.slice(leakAutopsyFiles - 1).map(({ name }) => name)
    removals.add(folder, excess, credentials)
    const path = join(folder, `daimyo-slot${slot}-pid${pid}-${timestamp(new Date())}.heapsnapshot`)
    this.#lastMs = this.#context.nowMs()
    this.#running = { worker, path }
    return path
  }

  /**
   * The worker is gone; killed half-way it leaves half a file. In a folder of another user that is not looked for, but
   * removed.
   */
  end(worker: WorkerHandle): void {
    this.#ended.add(worker)
    if (this.#running?.worker !== worker) return
    const { path } = this.#running
    this.#running = null
    const keep = (why: string) => this.#context.log('autopsy-not-removed', { path, why })
    try {
      const { credentials } = worker.generation.settings
      const partial = `${path}.partial`
      if (!isOthers(credentials)) {
        const found = lstatSync(partial, { throwIfNoEntry: false })
        if (found === undefined) return
        if (!found.isFile()) return keep('it is not a regular file')
      }
      if (!removals.add(dirname(partial), [basename(partial)], credentials))
        keep('too many files wait for their removal')
    } catch (error) {
      // EACCES: its user has changed the folder.
      keep(reasonOf(error))
    }
  }

  #refuse({ address }: WorkerHandle, why: string): null {
    this.#context.log('autopsy-refused', { slot: address.slot, pid: address.pid, why })
    return null
  }
}

/** Of another user than the master's own. */
function isOthers(credentials: Credentials | null): boolean {
  return credentials !== null && process.geteuid?.() === 0
}

/** A file of the future says that the clock was set: it counts as old. */
function ageOf({ writtenMs }: Snapshot): number {
  const ageMs = Date.now() - writtenMs
  return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs
}

/** `20260131T235959Z` */
function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}
