/**
 * Whether the kernel's OOM killer was active lately. `worker-handle.ts` asks when a worker has died of SIGKILL. A
 * SIGKILL of an operator says nothing about the worker's requests, but one of the OOM killer may be the fault of one of
 * them. `process-tree.ts` calls `look` at each reading of the memory.
 *
 * The kernel counts all of its OOM kills, also those of memory cgroups, in the line `oom_kill` of `/proc/vmstat` (since
 * Linux 4.13), before it sends the signal. The count is for the whole machine. So if it kills another process in the
 * same seconds in which an operator sends `kill -9` to a worker, the worker's death is taken for an OOM kill.
 */

import { readFileSync } from 'node:fs'

/** The kills since the machine started. Null: this kernel does not count them. */
export type CountKills = () => number | null

export class OomKills {
  readonly #count: CountKills
  #last: number | null
  /** The count at the look before the last one. A process that dies just after a look was counted before that look. */
  #before: number | null

  constructor(count: CountKills = countKills) {
    this.#count = count
    this.#last = count()
    this.#before = this.#last
  }

  /** Takes the count. Kills before the last look do not count as recent any more. */
  look(): void {
    this.#before = this.#last
    this.#last = this.#count()
  }

  /** Whether there were kills since the look before the last one. */
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
    // A sandbox without /proc/vmstat: unknown.
    return null
  }
}
