/**
 * Heap snapshots of leaking workers (`leak-autopsy`): whether a worker may write one, where, and which files are kept.
 * The worker itself writes it after its last request and before its exit.
 *
 * What must stay true: one snapshot at a time, and at most one an hour. Never more files than configured, and never the
 * last space of the disk. In the folder only files with our names are touched. All access runs as the service's user,
 * whose workers write there. A folder that they have filled with names is refused. If that is another user, another
 * process looks (`task-children.ts`).
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

/** The facts when a worker asks. Sizes are in bytes. */
export interface AutopsyFacts {
  /** Since the start of the last snapshot. Infinite: there was none. */
  sinceMs: number
  isRunning: boolean
  freeBytes: number
  /** The space that the snapshot may need: its text is larger than the heap. */
  neededBytes: number
}

/** Between two snapshots. A snapshot blocks its process, and two snapshots of the same leak show the same. */
export const AUTOPSY_EVERY_MS = 3_600_000

/** How long a worker waits for the decision. Its stop deadline goes on meanwhile. */
const LOOK_MS = 5000

/** The space that must stay free besides. */
const SPARE_BYTES = 256 * 1024 ** 2

/** Why no snapshot is written now. Null: it may be written. Pure. */
export function whyNoAutopsy({ sinceMs, isRunning, freeBytes, neededBytes }: AutopsyFacts): string | null {
  if (isRunning) return 'another-is-written'
  if (sinceMs < AUTOPSY_EVERY_MS) return 'one-an-hour'
  return freeBytes < neededBytes + SPARE_BYTES ? 'disk-lacks-room' : null
}

/** The snapshots of one master. */
export class LeakAutopsies {
  readonly #context: MasterContext
  #lastMs = Number.NEGATIVE_INFINITY
  #running: { worker: WorkerHandle; path: string } | null = null
  readonly #ended = new WeakSet<WorkerHandle>()

  constructor(context: MasterContext) {
    this.#context = context
  }

  /**
   * The path to which a stopping worker writes its snapshot before its exit. Null: it writes none. If another process
   * looks at the folder, the result is a promise, which never rejects.
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
        // The worker may have ended meanwhile.
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
   * The worker has ended. If it was killed while it wrote, a partial file is left, which is removed. In another user's
   * folder the removal is queued without a check for the file.
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
      // EACCES: the service's user has changed the folder.
      keep(reasonOf(error))
    }
  }

  #refuse({ address }: WorkerHandle, why: string): null {
    this.#context.log('autopsy-refused', { slot: address.slot, pid: address.pid, why })
    return null
  }
}

/** Whether it is another user than the master's own. */
function isOthers(credentials: Credentials | null): boolean {
  return credentials !== null && process.geteuid?.() === 0
}

/** The age of a snapshot. A file from the future means that the clock was set back: it counts as old. */
function ageOf({ writtenMs }: Snapshot): number {
  const ageMs = Date.now() - writtenMs
  return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs
}

/** `20260131T235959Z` */
function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}
