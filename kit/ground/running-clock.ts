/**
 * The clock of deadlines, for the master and for each proxy: the time in which the process could look. A process may
 * have no turn for a while: the virtual machine was paused, or SIGSTOP stopped this process or all of them. Nobody
 * knows what the others could do meanwhile, and answers may lie there unread. So that time counts against nobody. A
 * suspended machine needs none of this: CLOCK_MONOTONIC stands still with it.
 *
 * Must stay true: it never goes back, and each reading adds at least a little, so every deadline passes in the end.
 */

/** Longer than any turn of a busy loop. The owner of a watched clock reads it at least twice in this time. */
export const STILL_MS = 500
/** A standstill counts as this long. */
export const COUNTED_MS = 100
/** How many standstills are remembered for `passedMs`. */
const REMEMBERED = 100

export class RunningClock {
  readonly #read: () => number
  #lastMs: number
  #lostMs = 0
  #isWatched = false
  /** When each standstill was over, on this clock, and how much of it was not counted; the last one first. */
  readonly #standstills: { atMs: number; lostMs: number }[] = []

  constructor(read: () => number = () => performance.now()) {
    this.#read = read
    this.#lastMs = read()
  }

  /** True: the clock is read all the time from now on, so a gap between two readings is a standstill. */
  set isWatched(isWatched: boolean) {
    this.now()
    this.#isWatched = isWatched
  }

  /** Milliseconds, monotonic: steps of the wall clock do not move it. */
  readonly now = (): number => {
    const readMs = this.#read()
    const gapMs = readMs - this.#lastMs
    if (gapMs > STILL_MS && this.#isWatched) this.#forgive(readMs, gapMs - COUNTED_MS)
    this.#lastMs = readMs
    return readMs - this.#lostMs
  }

  /** The real time between two readings, standstills included: for durations that are told to people. */
  readonly passedMs = (fromMs: number, toMs: number): number => {
    let passedMs = toMs - fromMs
    for (const { atMs, lostMs } of this.#standstills) {
      if (atMs <= fromMs) break
      if (atMs <= toMs) passedMs += lostMs
    }
    return passedMs
  }

  #forgive(readMs: number, lostMs: number): void {
    this.#lostMs += lostMs
    this.#standstills.unshift({ atMs: readMs - this.#lostMs, lostMs })
    this.#standstills.length = Math.min(this.#standstills.length, REMEMBERED)
  }
}

/**
 * A wait too short for the clock: a process that had to wait for a core may have had no turn in it. So this counts
 * turns of the loop, and a request costs no reading of the clock.
 *
 * Must stay true: `isOver` says that the loop has polled its sockets `ms` or more after `begin`, in a turn before this
 * one. Everything that came before that poll has been read.
 */
export class TurnsOfLoop {
  readonly #ms: number
  /** Grows by one at the end of a turn that began `ms` or more after the end of the last counted one. */
  #counted = 0
  /** Turns to count until every wait is over. */
  #wanted = 0
  #isCounting = false

  constructor(ms: number) {
    this.#ms = ms
  }

  /** The argument for `isOver`. The wait is over after one to two times `ms`. */
  begin(): number {
    this.#wanted = 2
    if (!this.#isCounting) this.#countOne()
    return this.#counted
  }

  /** The first turn counted after `begin` may have begun before it. */
  isOver(begun: number): boolean {
    return this.#counted - begun >= 2
  }

  /** After a standstill timers run before the sockets are polled. `setImmediate` runs after that, in the same turn. */
  #countOne(): void {
    this.#isCounting = true
    setTimeout(() => setImmediate(() => this.#count()), this.#ms).unref()
  }

  #count(): void {
    this.#counted += 1
    this.#wanted -= 1
    this.#isCounting = false
    if (this.#wanted > 0) this.#countOne()
  }
}

/** Calls `late` when `ms` have passed on such a clock. Returns a function that calls it off. */
export function waitOn(now: () => number, ms: number, late: () => void): () => void {
  const endMs = now() + ms
  const look = () => {
    const leftMs = endMs - now()
    if (leftMs <= 0) late()
    else timer = setTimeout(look, Math.ceil(leftMs))
  }
  let timer = setTimeout(look, Math.ceil(ms))
  return () => clearTimeout(timer)
}
