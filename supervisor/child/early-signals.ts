/**
 * Deaths of children by signals that were meant for the master and reached all processes (`systemctl kill`), in the
 * moment before they could ignore them (`kit/child-prelude.cts`). They say nothing about the code that was about to
 * run: the same is tried again. Pure.
 */

import { isMastersSignal } from '../../kit/process/masters-signals.js'
import { INSPECTED_SIGNAL } from '../../kit/process/uninvited-inspector.js'

/** So many in a row are no accident: the program ends itself so. */
const MOST_IN_A_ROW = 10

export class EarlySignals {
  #inARow = 0

  /** Whether a child that was not yet up has ended by accident. Counts it: ask once for each. */
  isAccident(signal: string | null): boolean {
    if (!isMastersSignal(signal) && signal !== INSPECTED_SIGNAL) return false
    this.#inARow++
    return this.#inARow <= MOST_IN_A_ROW
  }

  /** One has come up. */
  cameUp(): void {
    this.#inARow = 0
  }
}
