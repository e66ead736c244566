/**
 * The families of many processes merged for `/metrics`. Pure.
 *
 * Counters, histograms, and the sum and count of summaries add up per label set, together with the totals of dead
 * processes. Gauges merge by their aggregator. Quantiles of a summary cannot be merged: an average of quantiles is not
 * a quantile. They are shown for a label set that exactly one living process has, and left out otherwise. `omit` leaves
 * out a family of any type.
 *
 * Families with the same name that differ in type, aggregator or bucket bounds are never added up. The shape that most
 * living processes have is shown; in a tie the first seen. The others are reported. Totals of dead processes in another
 * shape do not count in this choice and are not shown, unless no living process has the family.
 *
 * A histogram `x` prints `x_bucket`, `x_sum` and `x_count`. Another family with one of these names would give one name
 * two types, and Prometheus may refuse the whole page for that. The family that more living processes have is shown; in
 * a tie the histogram or summary.
 *
 * Must stay true: the work is done in slices, so that the master's event loop runs between them, however many families
 * the processes sent. The tables do not change meanwhile.
 */

import type { Aggregator } from '../../kit/channel/metric-family.js'
import { addRow, roundRow, zeroRow } from './exact-sum.js'
import { boundsOf, emptyTable, type FamilyTable, type Row, rowBytesOf } from './family-table.js'
import { atOnce, type Slices } from './slices.js'

/** `kept` and `leftOut` print the difference. `processes`: the number of living ones whose family is not shown. */
export interface Conflict {
  name: string
  differs: 'type' | 'aggregator' | 'buckets' | 'quantiles' | 'name'
  kept: string
  leftOut: string
  processes: number
}

export interface Merged {
  tables: FamilyTable[]
  conflicts: Conflict[]
}

/** The tables to merge into one, all of one shape. */
export interface MergeGroup {
  first: FamilyTable
  retired: FamilyTable[]
  live: FamilyTable[]
}

/** The merge groups, by name. */
export interface MergePlan {
  groups: MergeGroup[]
  conflicts: Conflict[]
}

/** Tables, or rows, between two pauses: about a millisecond of work. */
const SLICE = 1000

/**
 * `live`: the tables of each process, the oldest process first. `retired`: running sums of dead processes, any number
 * per name. Does the whole work without a pause.
 */
export function mergeFamilies(live: Iterable<Iterable<FamilyTable>>, retired: Iterable<FamilyTable>): Merged {
  const { groups, conflicts } = atOnce(planMerge(live, retired))
  return { tables: groups.map(group => atOnce(mergeGroup(group))), conflicts }
}

/** Decides which tables are shown; the groups are sorted by name. */
export function* planMerge(live: Iterable<Iterable<FamilyTable>>, retired: Iterable<FamilyTable>): Slices<MergePlan> {
  const plan: MergePlan = { groups: [], conflicts: [] }
  const named = yield* groupByName(live, retired)
  let looked = 0
  for (const name of [...named.keys()].sort()) {
    if (++looked % SLICE === 0) yield
    const group = named.get(name) ?? { live: [], retired: [] }
    const byShape = byShapeOf(group.live)
    const kept = byShape[0] ?? group.retired.slice(-1)
    if (byShape.length > 1) plan.conflicts.push(conflictOf(byShape))
    const [first] = kept
    if (first === undefined || first.aggregator === 'omit') continue
    const sums = group.retired.filter(table => table.shape === first.shape)
    plan.groups.push({ first, retired: sums, live: byShape[0] ?? [] })
  }
  return withoutSharedNames(plan)
}

/** The group as one table. */
export function* mergeGroup(group: MergeGroup): Slices<FamilyTable> {
  const { first, live } = group
  const table = emptyTable(first, first.columns)
  table.rows = yield* first.type === 'gauge' ? measure(first.aggregator, live) : addUp(group)
  for (const { text } of table.rows.values()) table.bytes += rowBytesOf(table, text)
  return table
}

interface Named {
  live: FamilyTable[]
  retired: FamilyTable[]
}

/** A family without rows is left out: it adds nothing, and its buckets are not known yet. */
function* groupByName(
  live: Iterable<Iterable<FamilyTable>>,
  retired: Iterable<FamilyTable>,
): Slices<Map<string, Named>> {
  const groups = new Map<string, Named>()
  let looked = 0
  const add = (table: FamilyTable, side: keyof Named) => {
    if (table.rows.size === 0) return
    const group = groups.get(table.name) ?? { live: [], retired: [] }
    group[side].push(table)
    groups.set(table.name, group)
  }
  for (const tables of live) {
    for (const table of tables) {
      add(table, 'live')
      if (++looked % SLICE === 0) yield
    }
  }
  for (const table of retired) {
    add(table, 'retired')
    if (++looked % SLICE === 0) yield
  }
  return groups
}

/** The tables by their shape, the most common shape first. Sorting is stable, so the first seen wins a tie. */
function byShapeOf(tables: FamilyTable[]): FamilyTable[][] {
  const byShape = new Map<string, FamilyTable[]>()
  for (const table of tables) {
    const tables = byShape.get(table.shape)
    if (tables === undefined) byShape.set(table.shape, [table])
    else tables.push(table)
  }
  return [...byShape.values()].sort((a, b) => b.length - a.length)
}

function conflictOf(byShape: FamilyTable[][]): Conflict {
  const [kept, other] = byShape.map(tables => tables[0] as FamilyTable) as [FamilyTable, FamilyTable]
  const processes = byShape.slice(1).reduce((sum, tables) => sum + tables.length, 0)
  const report = (differs: Conflict['differs'], print: (table: FamilyTable) => string) => {
    return { name: kept.name, differs, kept: print(kept), leftOut: print(other), processes }
  }
  if (kept.type !== other.type) return report('type', table => table.type)
  if (kept.aggregator !== other.aggregator) return report('aggregator', table => table.aggregator)
  return report(kept.type === 'histogram' ? 'buckets' : 'quantiles', boundsOf)
}

const SUFFIXES = { histogram: ['_bucket', '_sum', '_count'], summary: ['_sum', '_count'], counter: [], gauge: [] }

function withoutSharedNames({ groups, conflicts }: MergePlan): MergePlan {
  const byName = new Map(groups.map(group => [group.first.name, group]))
  for (const group of groups) {
    for (const suffix of SUFFIXES[group.first.type]) {
      const other = byName.get(group.first.name + suffix)
      if (other === undefined || !byName.has(group.first.name)) continue
      const [kept, leftOut] = other.live.length > group.live.length ? [other, group] : [group, other]
      byName.delete(leftOut.first.name)
      const processes = leftOut.live.length
      const print = ({ first }: MergeGroup) => `${first.type} ${first.name}`
      const { name } = leftOut.first
      conflicts.push({ name, differs: 'name', kept: print(kept), leftOut: print(leftOut), processes })
    }
  }
  return { groups: [...byName.values()], conflicts }
}

function* addUp({ first, retired, live }: MergeGroup): Slices<Map<string, Row>> {
  const sums = new Map<string, Required<Row>>()
  let added = 0
  for (const table of [...retired, ...live]) {
    for (const [key, row] of table.rows) {
      const sum = sums.get(key) ?? zeroRow(row, first.columns.length)
      addRow(sum, row)
      sums.set(key, sum)
      if (++added % SLICE === 0) yield
    }
  }
  const rows = new Map<string, Row>()
  for (const [key, sum] of sums) {
    const row = roundRow(sum)
    if (first.type === 'summary') setQuantiles(key, row, first.columns, live)
    rows.set(key, row)
    if (++added % SLICE === 0) yield
  }
  return rows
}

function setQuantiles(key: string, row: Row, columns: FamilyTable['columns'], live: FamilyTable[]): void {
  const owners = live.filter(table => table.rows.has(key))
  const only = owners.length === 1 ? owners[0]?.rows.get(key) : undefined
  columns.forEach((column, at) => {
    if (column.kind === 'quantile') row.values[at] = only?.values[at] ?? Number.NaN
  })
}

const MEASURES: Record<Exclude<Aggregator, 'omit'>, (values: number[]) => number> = {
  sum: addAll,
  first: values => values[0] ?? Number.NaN,
  min: values => values.reduce((least, value) => Math.min(least, value)),
  max: values => values.reduce((most, value) => Math.max(most, value)),
  average: values => addAll(values) / values.length,
}

function* measure(aggregator: Aggregator, live: FamilyTable[]): Slices<Map<string, Row>> {
  const found = new Map<string, Row>()
  let looked = 0
  if (aggregator === 'omit') return found
  for (const table of live) {
    for (const [key, { text, values }] of table.rows) {
      const row = found.get(key) ?? { text, values: [] }
      row.values.push(...values)
      found.set(key, row)
      if (++looked % SLICE === 0) yield
    }
  }
  for (const row of found.values()) {
    row.values = [MEASURES[aggregator](row.values)]
    if (++looked % SLICE === 0) yield
  }
  return found
}

function addAll(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
