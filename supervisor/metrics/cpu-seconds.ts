/**
 * CPU time per slot, as a counter that never falls: a slot's next worker begins at zero, so the time of its earlier
 * workers is added. The master records the readings of `process-usage.ts` and retires each worker that has ended;
 * `masterFamilies` prints the sums.
 */

export class CpuSeconds {
  readonly #workers = new Map<number, { slot: number; seconds: number }>()
  readonly #gone = new Map<number, number>()

  /**
   * CPU seconds, user and system, that a worker has used since it started. A reading below the last one is ignored.
   */
  record(slot: number, workerId: number, seconds: number): void {
    const before = this.#workers.get(workerId)?.seconds ?? 0
    if (seconds >= before) this.#workers.set(workerId, { slot, seconds })
  }

  /** The worker has ended: its time stays with its slot. */
  retire(workerId: number): void {
    const worker = this.#workers.get(workerId)
    if (worker === undefined) return
    this.#workers.delete(workerId)
    this.#gone.set(worker.slot, (this.#gone.get(worker.slot) ?? 0) + worker.seconds)
  }

  /** Seconds by slot; during a replacement a slot has two workers. */
  bySlot(): Map<number, number> {
    const seconds = new Map(this.#gone)
    for (const worker of this.#workers.values()) {
      seconds.set(worker.slot, (seconds.get(worker.slot) ?? 0) + worker.seconds)
    }
    return seconds
  }
}
