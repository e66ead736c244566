/**
 * The counts of dead processes: one running sum per name, shape and label set. Their size is bounded, in series and in
 * bytes as printed, because workers with always new label values would add series without end. A label set that a
 * living process also has comes first: without its sum, the counter would fall. Label sets that no living process has
 * are dropped to make room for it.
 *
 * Must stay true: a table that `tables` returned does not change any more, so a page may be printed from it while
 * processes die. Such sums are copied before anything is added to them.
 */

import { addRow, copyRow, zeroRow } from './exact-sum.js'
import { emptyTable, type FamilyTable, headBytesOf, LARGEST_COUNT, type Row, rowBytesOf } from './family-table.js'

export interface RetiredLimits {
  series: number
  bytes: number
}

/** Whether a living process has the family in this shape and, where a key is given, this label set. */
export type IsLiving = (name: string, shape: string, key?: string) => boolean

interface Sums extends FamilyTable {
  rows: Map<string, Required<Row>>
}

/**
 * The largest sum. A process may count to `LARGEST_COUNT`; one that lies once must not keep the counts of later ones
 * out.
 */
const LARGEST_SUM = 1024 * LARGEST_COUNT
/** What a family costs beyond its text: maps, and a table of columns. */
const FAMILY_BYTES = 512
/** The number of shapes kept for a name: those of living processes, and the last ones of dead processes. */
const SHAPES = 4
/** Names of lost series that are counted each for itself; the others are counted together, without a name. */
const LOST_NAMES = 1000
/** The share of the room that is freed at once, because each search walks through all sums. */
const ROOM_MADE = 0.1
/** The most vain lookups of a label set's living owner per death: each walks through all processes. */
const VAIN_QUESTIONS = 1000

export class RetiredTotals {
  readonly #limits: RetiredLimits
  readonly #isLiving: IsLiving
  /** Name → shape → sums. A name has several shapes while processes of two generations live. */
  readonly #sums = new Map<string, Map<string, Sums>>()
  /** Sums that `tables` returned: copied before a change. */
  readonly #shared = new WeakSet<Sums>()
  readonly #lost = new Map<string, number>()
  #series = 0
  #bytes = 0
  /** The last search found too little room, and no process has died since. */
  #isExhausted = false
  /** Lookups since the last death that found no living process with the label set. */
  #vainQuestions = 0

  constructor(limits: RetiredLimits, isLiving: IsLiving) {
    this.#limits = limits
    this.#isLiving = isLiving
  }

  /** All sums. Of several shapes of one name, the newest one comes last. */
  *tables(): Iterable<FamilyTable> {
    for (const shapes of this.#sums.values()) {
      for (const sums of shapes.values()) {
        this.#shared.add(sums)
        yield sums
      }
    }
  }

  /** Series dropped for lack of room since the start, by family: their sums fell. */
  get lost(): ReadonlyMap<string, number> {
    return this.#lost
  }

  /** A process has died: its label sets may be dropped now. */
  died(): void {
    this.#isExhausted = false
    this.#vainQuestions = 0
  }

  /** Adds one label set. False: there is no room for it, or the sum would be larger than `LARGEST_SUM`. */
  add(table: FamilyTable, key: string, row: Row): boolean {
    const columns = table.columns.length
    const sums = this.#sums.get(table.name)?.get(table.shape)
    const known = sums?.rows.get(key)
    const rowBytes = known === undefined ? rowBytesOf(table, row.text) : 0
    const bytes = rowBytes + (sums === undefined ? headBytesOf(table) + FAMILY_BYTES : 0)
    if (known === undefined && !this.#hasRoom(columns, bytes)) {
      if (this.#mayMakeRoom(table, key)) this.#makeRoom()
      if (!this.#hasRoom(columns, bytes)) {
        this.#lose(table.name, columns)
        return false
      }
    }
    const sum = known === undefined ? zeroRow(row, columns) : copyRow(known)
    addRow(sum, row)
    if (sum.values.some(value => Math.abs(value) > LARGEST_SUM)) {
      this.#lose(table.name, columns)
      return false
    }
    this.#change(table).rows.set(key, sum)
    if (known === undefined) this.#resize(columns, rowBytes)
    return true
  }

  /** Forgets one label set, in all shapes. */
  forgetRow(name: string, key: string): void {
    for (const sums of [...(this.#sums.get(name)?.values() ?? [])]) this.#drop(sums, key)
  }

  /** Whether a living process has the label set. The number of vain lookups per death is bounded. */
  #mayMakeRoom({ name, shape }: FamilyTable, key: string): boolean {
    if (this.#vainQuestions >= VAIN_QUESTIONS) return false
    if (this.#isLiving(name, shape, key)) return true
    this.#vainQuestions += 1
    return false
  }

  #hasRoom(series: number, bytes: number): boolean {
    return this.#series + series <= this.#limits.series && this.#bytes + bytes <= this.#limits.bytes
  }

  #resize(series: number, bytes: number): void {
    this.#series += series
    this.#bytes += bytes
  }

  #lose(name: string, series: number): void {
    const counted = this.#lost.has(name) || this.#lost.size < LOST_NAMES ? name : ''
    this.#lost.set(counted, (this.#lost.get(counted) ?? 0) + series)
  }

  /** Drops label sets that no living process has, the oldest first. */
  #makeRoom(): void {
    if (this.#isExhausted) return
    const { series, bytes } = this.#limits
    const isEnough = () => this.#hasRoom(series * ROOM_MADE, bytes * ROOM_MADE)
    for (const shapes of [...this.#sums.values()]) {
      for (const sums of [...shapes.values()]) {
        for (const key of [...sums.rows.keys()]) {
          if (isEnough()) return
          if (this.#isLiving(sums.name, sums.shape, key)) continue
          this.#lose(sums.name, sums.columns.length)
          this.#drop(sums, key)
        }
      }
    }
    this.#isExhausted = true
  }

  #drop(table: FamilyTable, key: string): void {
    const row = this.#sums.get(table.name)?.get(table.shape)?.rows.get(key)
    if (row === undefined) return
    const sums = this.#change(table)
    sums.rows.delete(key)
    this.#resize(-sums.columns.length, -rowBytesOf(sums, row.text))
    if (sums.rows.size === 0) this.#forgetShape(sums)
  }

  #forgetShape({ name, shape }: FamilyTable): void {
    const shapes = this.#sums.get(name)
    const known = shapes?.get(shape)
    if (known !== undefined) this.#resize(0, -headBytesOf(known) - FAMILY_BYTES)
    for (const row of shapes?.get(shape)?.rows.values() ?? []) {
      const sums = shapes?.get(shape) as Sums
      this.#resize(-sums.columns.length, -rowBytesOf(sums, row.text))
    }
    shapes?.delete(shape)
    if (shapes?.size === 0) this.#sums.delete(name)
  }

  /** The sums of this name and shape, as an object that may be changed. */
  #change(table: FamilyTable): Sums {
    const shapes = this.#sums.get(table.name) ?? this.#shapesOf(table.name)
    const sums = shapes.get(table.shape)
    if (sums !== undefined && !this.#shared.has(sums)) return sums
    if (sums === undefined) {
      this.#forgetOldShape(shapes)
      this.#resize(0, headBytesOf(table) + FAMILY_BYTES)
    }
    const mine = (sums === undefined ? emptyTable(table, table.columns) : { ...sums, rows: new Map(sums.rows) }) as Sums
    this.#shapesOf(table.name).set(table.shape, mine)
    return mine
  }

  #shapesOf(name: string): Map<string, Sums> {
    const shapes = this.#sums.get(name) ?? new Map<string, Sums>()
    this.#sums.set(name, shapes)
    return shapes
  }

  /** The shapes of a name must not pile up over many generations. */
  #forgetOldShape(shapes: Map<string, Sums>): void {
    if (shapes.size < SHAPES) return
    const old = [...shapes.values()].find(({ name, shape }) => !this.#isLiving(name, shape))
    if (old !== undefined) this.#forgetShape(old)
  }
}
