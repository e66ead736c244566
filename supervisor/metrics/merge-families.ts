/**
 * The families of many processes as one: what `/metrics` shows. Called by the store at each scrape; pure.
 *
 * Counters, histograms, and the sum and count of summaries add up per label set, with what dead processes left behind.
 * Gauges merge by their aggregator. Quantiles of a summary cannot be merged (their average is nobody's quantile): they
 * are shown for a label set that exactly one living process has, and left out otherwise. `omit` leaves a family out,
 * whatever its type.
 *
 * Families of one name that differ in type, aggregator or bucket bounds are never added up. The one that most living
 * processes have is shown, the one seen first if there are as many of each, and the rest is reported. What the dead
 * left behind in another form neither votes nor shows, unless no living process has the family.
 */

import type { Aggregator } from '../../kit/metric-family.js'
import { addRow, roundRow, zeroRow } from './exact-sum.js'
import { boundsOf, type FamilyTable, type Row, shapeOf } from './family-table.js'

/** `kept` and `leftOut` are what differs, printed; `processes` counts the living ones whose family is not shown. */
export interface Conflict {
  name: string
  differs: 'type' | 'aggregator' | 'buckets' | 'quantiles'
  kept: string
  leftOut: string
  processes: number
}

export interface Merged {
  tables: FamilyTable[]
  conflicts: Conflict[]
}

/**
 * `live`: the tables of each process, the oldest process first. `settled`: running sums of dead processes, any number
 * per name.
 */
export function mergeFamilies(live: Iterable<Iterable<FamilyTable>>, settled: Iterable<FamilyTable>): Merged {
  const merged: Merged = { tables: [], conflicts: [] }
  const groups = groupByName(live, settled)
  for (const name of [...groups.keys()].sort()) {
    const group = groups.get(name) ?? { live: [], settled: [] }
    const forms = formsOf(group.live)
    const kept = forms[0] ?? group.settled.slice(-1)
    if (forms.length > 1) merged.conflicts.push(conflictOf(forms))
    const [first] = kept
    if (first === undefined || first.aggregator === 'omit') continue
    const shape = shapeOf(first)
    const sums = group.settled.filter(table => shapeOf(table) === shape)
    merged.tables.push(mergeTables(first, sums, forms[0] ?? []))
  }
  return merged
}

interface Group {
  live: FamilyTable[]
  settled: FamilyTable[]
}

/** A family without rows has nothing to add and does not know its buckets yet, so it takes no part. */
function groupByName(live: Iterable<Iterable<FamilyTable>>, settled: Iterable<FamilyTable>): Map<string, Group> {
  const groups = new Map<string, Group>()
  const add = (table: FamilyTable, side: keyof Group) => {
    if (table.rows.size === 0) return
    const group = groups.get(table.name) ?? { live: [], settled: [] }
    group[side].push(table)
    groups.set(table.name, group)
  }
  for (const tables of live) for (const table of tables) add(table, 'live')
  for (const table of settled) add(table, 'settled')
  return groups
}

/** The tables by their shape, the most common first; sorting is stable, so the first seen wins a tie. */
function formsOf(tables: FamilyTable[]): FamilyTable[][] {
  const forms = new Map<string, FamilyTable[]>()
  for (const table of tables) {
    const shape = shapeOf(table)
    const form = forms.get(shape)
    if (form === undefined) forms.set(shape, [table])
    else form.push(table)
  }
  return [...forms.values()].sort((a, b) => b.length - a.length)
}

function conflictOf(forms: FamilyTable[][]): Conflict {
  const [kept, other] = forms.map(form => form[0] as FamilyTable) as [FamilyTable, FamilyTable]
  const processes = forms.slice(1).reduce((sum, form) => sum + form.length, 0)
  const report = (differs: Conflict['differs'], print: (table: FamilyTable) => string) => {
    return { name: kept.name, differs, kept: print(kept), leftOut: print(other), processes }
  }
  if (kept.type !== other.type) return report('type', table => table.type)
  if (kept.aggregator !== other.aggregator) return report('aggregator', table => table.aggregator)
  return report(kept.type === 'histogram' ? 'buckets' : 'quantiles', boundsOf)
}

function mergeTables(first: FamilyTable, settled: FamilyTable[], live: FamilyTable[]): FamilyTable {
  const rows = first.type === 'gauge' ? measure(first.aggregator, live) : addUp(first, settled, live)
  const { name, help, type, aggregator, columns } = first
  return { name, help, type, aggregator, columns, rows }
}

function addUp({ type, columns }: FamilyTable, settled: FamilyTable[], live: FamilyTable[]): Map<string, Row> {
  const sums = new Map<string, Required<Row>>()
  for (const table of [...settled, ...live]) {
    for (const [key, row] of table.rows) {
      const sum = sums.get(key) ?? zeroRow(row.labels, columns.length)
      addRow(sum, row)
      sums.set(key, sum)
    }
  }
  const rows = new Map<string, Row>()
  for (const [key, sum] of sums) rows.set(key, roundRow(sum))
  if (type === 'summary') setQuantiles(rows, columns, live)
  return rows
}

function setQuantiles(rows: Map<string, Row>, columns: FamilyTable['columns'], live: FamilyTable[]): void {
  for (const [key, row] of rows) {
    const owners = live.filter(table => table.rows.has(key))
    const only = owners.length === 1 ? owners[0]?.rows.get(key) : undefined
    columns.forEach((column, at) => {
      if (column.kind === 'quantile') row.values[at] = only?.values[at] ?? Number.NaN
    })
  }
}

const MEASURES: Record<Exclude<Aggregator, 'omit'>, (values: number[]) => number> = {
  sum: addAll,
  first: values => values[0] ?? Number.NaN,
  min: values => values.reduce((least, value) => Math.min(least, value)),
  max: values => values.reduce((most, value) => Math.max(most, value)),
  average: values => addAll(values) / values.length,
}

function measure(aggregator: Aggregator, live: FamilyTable[]): Map<string, Row> {
  const found = new Map<string, Row>()
  for (const table of live) {
    for (const [key, { labels, values }] of table.rows) {
      const row = found.get(key) ?? { labels, values: [] }
      row.values.push(...values)
      found.set(key, row)
    }
  }
  if (aggregator === 'omit') return new Map()
  for (const row of found.values()) row.values = [MEASURES[aggregator](row.values)]
  return found
}

function addAll(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
