/**
 * Writes what the heap holds, for `leak-autopsy`. Called by `ending.ts` when the worker has nothing more to do: V8 stands still meanwhile, for seconds, and
 * may need as much memory again. The file holds every string of the application, secrets too: it is for its owner alone.
 */

import { chmodSync, renameSync, rmSync, statSync } from 'node:fs'
import { writeHeapSnapshot } from 'node:v8'
import type { ToldFields, WorkerEventName } from '../../kit/child-events.js'
import { reasonOf } from '../../kit/failure.js'

const OWNER_ONLY = 0o600

/** Writes to `path`, by way of a name with `.partial` behind, and says what came of it. */
export function writeSnapshot(path: string): { event: WorkerEventName; fields: ToldFields } {
  const startMs = performance.now()
  const partial = `${path}.partial`
  const before = process.umask(0o077)
  try {
    writeHeapSnapshot(partial)
    chmodSync(partial, OWNER_ONLY)
    const { size } = statSync(partial)
    renameSync(partial, path)
    const tookMs = Math.round(performance.now() - startMs)
    return { event: 'autopsy-written', fields: { path, bytes: size, tookMs } }
  } catch (error) {
    rmSync(partial, { force: true })
    return { event: 'autopsy-failed', fields: { path, why: reasonOf(error) } }
  } finally {
    process.umask(before)
  }
}
