/**
 * The accumulator: what processes that are gone have counted, one running sum per name, shape and label set. Owned by
 * the store. Its size is bounded: workers that come and go with ever new label values would fill it in the end.
 */

import { addRow, zeroRow } from './exact-sum.js'
import { type FamilyTable, type Row, shapeOf } from './family-table.js'

interface Sums extends FamilyTable {
  rows: Map<string, Required<Row>>
}

export class SettledTables {
  readonly #seriesLimit: number
  /** Name → shape → sums. Several shapes of a name while processes of two generations live. */
  readonly #sums = new Map<string, Map<string, Sums>>()
  readonly #lost = new Map<string, number>()
  #series = 0

  constructor(seriesLimit: number) {
    this.#seriesLimit = seriesLimit
  }

  /** All sums; of several shapes of one name, the one that was begun last comes last. */
  *tables(): Iterable<FamilyTable> {
    for (const shapes of this.#sums.values()) yield* shapes.values()
  }

  /** Series that found no room since the start, by family: their sums fell. */
  get lost(): ReadonlyMap<string, number> {
    return this.#lost
  }

  /** Adds one label set. False: there is no room for it. */
  add(table: FamilyTable, key: string, row: Row): boolean {
    const rows = this.#sumsFor(table).rows
    const sum = rows.get(key)
    if (sum !== undefined) {
      addRow(sum, row)
      return true
    }
    const series = table.columns.length
    if (this.#series + series > this.#seriesLimit) {
      this.#lost.set(table.name, (this.#lost.get(table.name) ?? 0) + series)
      return false
    }
    const fresh = zeroRow(row.labels, series)
    addRow(fresh, row)
    rows.set(key, fresh)
    this.#series += series
    return true
  }

  /** Forgets one label set, in all shapes. */
  forgetRow(name: string, key: string): void {
    for (const sums of this.#sums.get(name)?.values() ?? []) {
      if (sums.rows.delete(key)) this.#series -= sums.columns.length
    }
  }

  /** Forgets a name's sums in all shapes but these. */
  keepShapes(name: string, shapes: ReadonlySet<string>): void {
    const all = this.#sums.get(name)
    for (const [shape, sums] of all ?? []) {
      if (shapes.has(shape)) continue
      this.#series -= sums.rows.size * sums.columns.length
      all?.delete(shape)
    }
    if (all?.size === 0) this.#sums.delete(name)
  }

  #sumsFor(table: FamilyTable): Sums {
    const shape = shapeOf(table)
    const shapes = this.#sums.get(table.name) ?? new Map<string, Sums>()
    this.#sums.set(table.name, shapes)
    const sums = shapes.get(shape) ?? { ...table, rows: new Map() }
    shapes.set(shape, sums)
    return sums
  }
}
