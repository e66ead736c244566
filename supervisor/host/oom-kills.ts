/**
 * Whether the kernel's OOM killer was at work lately. Asked by `worker-handle.ts` when a worker has died of SIGKILL: an
 * operator's says nothing against the requests that it had, that of the OOM killer may be the fault of one of them.
 * Looked at by `process-tree.ts` at each reading of the memory.
 *
 * The kernel counts its kills of all causes, also those of memory cgroups, in the line `oom_kill` of `/proc/vmstat`
 * (since Linux 4.13), before it sends the signal. The count is that of the machine: a kill of somebody else's in the
 * same seconds as an operator's `kill -9` of a worker is taken for the worker's own.
 */

import { readFileSync } from 'node:fs'

/** The kills since the machine started; null: this kernel does not count them. */
export type CountKills = () => number | null

export class OomKills {
  readonly #count: CountKills
  #last: number | null
  /** The count of the look before the last one: whoever dies just behind a look was counted before it. */
  #before: number | null

  constructor(count: CountKills = countKills) {
    this.#count = count
    this.#last = count()
    this.#before = this.#last
  }

  /** What was counted before the last look is no news any more. */
  look(): void {
    this.#before = this.#last
    this.#last = this.#count()
  }

  /** Since the look before the last one. */
  get areRecent(): boolean {
    const now = this.#count()
    return now !== null && this.#before !== null && now > this.#before
  }
}

function countKills(): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'latin1'))?.[1]
    return count === undefined ? null : Number(count)
  } catch {
    // A sandbox without /proc/vmstat: nobody knows.
    return null
  }
}
