/**
 * Prints metric families in the Prometheus text format 0.0.4, as `promtool check metrics` reads it. Pure. Must stay
 * true: every input gives a valid page, because Prometheus drops the whole scrape for one family that it cannot read.
 */

import type { MetricFamily } from '../../kit/channel/metric-family.js'
import { type Column, escapeHelp, type FamilyTable, type Row, readTable, seriesOf } from './family-table.js'
import type { Slices } from './slices.js'

/** The content type to answer with. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Rows between two pauses. */
const SLICE = 1000
/** Text becomes bytes piece by piece, so that a large page is not in memory both as text and as bytes. */
const PIECE_CHARS = 256 * 1024

/**
 * The families in the given order. If two have the same name, the first is printed. A family without values, or one
 * that `readTable` refuses, is left out.
 */
export function printExposition(families: readonly MetricFamily[]): string {
  const page = new ExpositionPage(Number.POSITIVE_INFINITY)
  for (const family of families) {
    const reading = readTable(family)
    if ('table' in reading) page.addWhole(reading.table)
  }
  return page.finish().toString()
}

/** A page that grows table by table, up to a number of bytes. Of two tables with the same name the first is printed. */
export class ExpositionPage {
  readonly #printed = new Set<string>()
  readonly #pieces: Buffer[] = []
  #text = ''
  #roomBytes: number
  /** Series that found no room. */
  leftOut = 0

  constructor(roomBytes: number) {
    this.#roomBytes = roomBytes
  }

  /** Prints a table that the master itself made, even if the page has no room left. */
  addWhole(table: FamilyTable): void {
    if (!this.#begin(table)) return
    for (const row of table.rows.values()) this.#write(printRow(table, row))
    this.#roomBytes -= table.bytes
  }

  /** Prints a table in slices, or leaves it out as a whole: a reader cannot see that half a family is missing. */
  *add(table: FamilyTable): Slices<void> {
    if (table.bytes > this.#roomBytes) {
      this.leftOut += seriesOf(table)
      return
    }
    if (!this.#begin(table)) return
    this.#roomBytes -= table.bytes
    let printed = 0
    for (const row of table.rows.values()) {
      this.#write(printRow(table, row))
      if (++printed % SLICE === 0) yield
    }
  }

  finish(): Buffer {
    this.#flush()
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces)
  }

  #begin(table: FamilyTable): boolean {
    if (table.rows.size === 0 || this.#printed.has(table.name)) return false
    this.#printed.add(table.name)
    this.#write(`# HELP ${table.name} ${escapeHelp(table.help)}\n# TYPE ${table.name} ${table.type}\n`)
    return true
  }

  #write(text: string): void {
    this.#text += text
    if (this.#text.length > PIECE_CHARS) this.#flush()
  }

  #flush(): void {
    this.#pieces.push(Buffer.from(this.#text))
    this.#text = ''
  }
}

function printRow({ name, columns }: FamilyTable, row: Row): string {
  let text = ''
  columns.forEach((column, at) => {
    const value = row.values[at] ?? Number.NaN
    if (column.kind === 'quantile' && Number.isNaN(value)) return
    text += `${name}${printSuffix(column, row.text)} ${printNumber(value)}\n`
  })
  return text
}

function printSuffix({ kind, bound }: Column, labels: string): string {
  const before = labels === '' ? '' : `${labels},`
  if (kind === 'bucket') return `_bucket{${before}le="${bound}"}`
  if (kind === 'quantile') return `{${before}quantile="${bound}"}`
  const suffix = kind === 'value' ? '' : `_${kind}`
  return labels === '' ? suffix : `${suffix}{${labels}}`
}

function printNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
