/**
 * Deaths of children by a signal that was meant for the master but reached all processes (`systemctl kill`), in the
 * moment before the child could ignore it (`kit/child-prelude.cts`). Such a death says nothing about the code of the
 * child, so the same child is started again. Pure.
 */

import { isMastersSignal } from '../../kit/process/masters-signals.js'
import { INSPECTED_SIGNAL } from '../../kit/process/uninvited-inspector.js'

/** More of them in a row are no accident: then the program sends the signal to itself. */
const MOST_IN_A_ROW = 10

export class EarlySignals {
  #inARow = 0

  /** Whether a child that was not ready has ended by accident. It counts, so call it once for each child. */
  isAccident(signal: string | null): boolean {
    if (!isMastersSignal(signal) && signal !== INSPECTED_SIGNAL) return false
    this.#inARow++
    return this.#inARow <= MOST_IN_A_ROW
  }

  /** A child has become ready. */
  cameUp(): void {
    this.#inARow = 0
  }
}
