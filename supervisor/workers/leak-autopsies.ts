/**
 * Heap snapshots of workers that leaked (`leak-autopsy`): whether a worker may write one, where, and what is kept. Owned by `pool.ts`; the worker itself
 * writes, after its last request and before its exit.
 * Must stay true: one at a time and one an hour at most, never more files than asked for, never the last of the disk; and of the folder
 * nothing is touched that does not have a name of ours. All of it is done as the service's user, whose workers write
 * there: a folder that they have filled with names is refused.
 */

import { lstatSync, statfsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { reasonOf } from '../../kit/ground/failure.js'
import type { MasterContext } from '../child/master-context.js'
import { removals } from '../user/file-removal.js'
import { CROWDED, namesIn } from '../user/folder-names.js'
import { asServiceUser, mayBecomeUser } from '../user/service-user.js'
import type { Worker } from './worker.js'

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

/** What must be free besides. */
const SPARE_BYTES = 256 * 1024 ** 2

const NAME = /^daimyo-slot\d+-pid\d+-\d{8}T\d{6}Z\.heapsnapshot(\.partial)?$/

/** Why no snapshot is written now, null: it may be. Pure. */
export function whyNoAutopsy({ sinceMs, isRunning, freeBytes, neededBytes }: AutopsyFacts): string | null {
  if (isRunning) return 'another-is-written'
  if (sinceMs < AUTOPSY_EVERY_MS) return 'one-an-hour'
  return freeBytes < neededBytes + SPARE_BYTES ? 'disk-lacks-room' : null
}

interface Kept {
  path: string
  writtenMs: number
}

/** Of one master. */
export class LeakAutopsies {
  readonly #context: MasterContext
  #lastMs = Number.NEGATIVE_INFINITY
  #running: { worker: Worker; path: string } | null = null

  constructor(context: MasterContext) {
    this.#context = context
  }

  /** Where a worker that is told to exit writes its snapshot first; null: nowhere. */
  begin(worker: Worker): string | null {
    const { leakAutopsy: folder, leakAutopsyFiles, reloadOnRssBytes, credentials } = worker.generation.settings
    if (folder === null || worker.life.why !== 'reload-on-rss') return null
    const { slot, pid } = worker.address
    if (!mayBecomeUser(credentials)) return this.#refuse(worker, `${folder}: ${UNSEEN}`)
    try {
      const kept = asServiceUser(credentials, () => snapshotsIn(folder))
      if (kept === null) return this.#refuse(worker, `${folder}: ${CROWDED}`)
      const why = whyNoAutopsy({
        sinceMs: kept.map(ageOf).reduce((least, age) => Math.min(least, age), this.#context.nowMs() - this.#lastMs),
        isRunning: this.#running !== null,
        freeBytes: asServiceUser(credentials, () => freeBytesOf(folder)),
        neededBytes: 2 * reloadOnRssBytes,
      })
      if (why !== null) return this.#refuse(worker, why)
      const excess = kept.slice(leakAutopsyFiles - 1).map(({ path }) => basename(path))
      removals.add(folder, excess, credentials)
      const path = join(folder, `daimyo-slot${slot}-pid${pid}-${timestamp(new Date())}.heapsnapshot`)
      this.#lastMs = this.#context.nowMs()
      this.#running = { worker, path }
      return path
    } catch (error) {
      return this.#refuse(worker, reasonOf(error))
    }
  }

  /** The worker is gone; killed half-way it leaves half a file. */
  end(worker: Worker): void {
    if (this.#running?.worker !== worker) return
    const { path } = this.#running
    this.#running = null
    const keep = (why: string) => this.#context.log('autopsy-not-removed', { path, why })
    try {
      const { credentials } = worker.generation.settings
      const partial = `${path}.partial`
      if (!mayBecomeUser(credentials)) return keep(UNSEEN)
      const found = asServiceUser(credentials, () => lstatSync(partial, { throwIfNoEntry: false }))
      if (found === undefined) return
      if (!found.isFile()) return keep('it is not a regular file')
      if (!removals.add(dirname(partial), [basename(partial)], credentials))
        keep('too many files wait for their removal')
    } catch (error) {
      // EACCES: its user has changed the folder.
      keep(reasonOf(error))
    }
  }

  #refuse({ address }: Worker, why: string): null {
    this.#context.log('autopsy-refused', { slot: address.slot, pid: address.pid, why })
    return null
  }
}

/** To look there the master would have to wait (`service-user.ts`). */
const UNSEEN = 'it cannot be looked at while the log waits for its disk'

/** Far more than `leak-autopsy` keeps: to look at a file, or to remove it, takes longer than to read its name. */
const MOST_SNAPSHOTS = 1000

/** The newest first; halves are as good as none, and go with the others. null: there is more than can be looked at. */
function snapshotsIn(folder: string): Kept[] | null {
  const { names, isWhole } = namesIn(folder)
  const paths = names.filter(name => NAME.test(name)).map(name => join(folder, name))
  if (!isWhole || paths.length > MOST_SNAPSHOTS) return null
  return paths
    .map(path => ({ path, stats: lstatSync(path, { throwIfNoEntry: false }) }))
    .flatMap(({ path, stats }) => (stats?.isFile() ? [{ path, writtenMs: stats.mtimeMs }] : []))
    .sort((a, b) => b.writtenMs - a.writtenMs)
}

/** A file of the future says that the clock was set: it counts as old. */
function ageOf({ writtenMs }: Kept): number {
  const ageMs = Date.now() - writtenMs
  return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs
}

/** What is free for everybody, as root counts nothing of its own reserve. */
function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** `20260131T235959Z` */
function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}
