/**
 * Sums that do not depend on the order of their terms. When a worker dies, its counters move to the accumulator, so the
 * same numbers are added in another order. Plain floating point may then give a result that is smaller by one bit.
 * Prometheus takes any fall of a counter for a restart and counts the whole value again. So each sum also keeps its
 * rounding errors (Neumaier's summation). Pure but for the row that it adds to.
 */

import type { Row } from './family-table.js'

/** A row with these labels that begins at zero. */
export function zeroRow({ text }: Row, columns: number): Required<Row> {
  return { text, values: new Array(columns).fill(0), errors: new Array(columns).fill(0) }
}

/** A copy to add to, because a page may be printed from the original. */
export function copyRow({ text, values, errors }: Required<Row>): Required<Row> {
  return { text, values: [...values], errors: [...errors] }
}

/** Adds all numbers of `row` to `sum`. */
export function addRow(sum: Required<Row>, row: Row): void {
  for (let at = 0; at < sum.values.length; at++) {
    addValue(sum, at, row.values[at] ?? 0)
    if (row.errors !== undefined) addValue(sum, at, row.errors[at] ?? 0)
  }
}

/** The sum plus its rounding errors: rounded only once, however many terms there were. */
export function roundRow(sum: Required<Row>): Row {
  const { text, values } = sum
  return { text, values: values.map((value, at) => value + (sum.errors[at] ?? 0)) }
}

function addValue(sum: Required<Row>, at: number, value: number): void {
  const before = sum.values[at] ?? 0
  const after = before + value
  const lost = Math.abs(before) >= Math.abs(value) ? before - after + value : value - after + before
  sum.values[at] = after
  sum.errors[at] = (sum.errors[at] ?? 0) + lost
}
