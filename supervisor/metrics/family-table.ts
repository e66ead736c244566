/**
 * One metric family as a table: a row for each label set, a column for each number of it (a histogram: its buckets,
 * sum, count). Families arrive as JSON from processes that run anybody's code, so this is also where they are checked:
 * nothing that could break the exposition or make the master throw gets past `readTable`. Called by the store and the
 * exposition; pure.
 */

import type { Aggregator, MetricFamily, MetricSample, MetricType } from '../../kit/metric-family.js'

/** `bound` is the `le` or `quantile` as printed, empty for the others. */
export interface Column {
  kind: 'quantile' | 'bucket' | 'sum' | 'count' | 'value'
  bound: string
}

/** `values` has one number per column. `errors`: what rounding took from each value; only running sums keep them. */
export interface Row {
  labels: [string, string][]
  values: number[]
  errors?: number[]
}

export interface FamilyTable {
  name: string
  help: string
  type: MetricType
  aggregator: Aggregator
  /**
   * In the order of the exposition; the last one of a counter, histogram or summary only grows in one process's life.
   */
  columns: Column[]
  rows: Map<string, Row>
}

/** `malformed`: samples refused; `excess`: samples past the limit. Both count series. */
export type TableReading = { table: FamilyTable; malformed: number; excess: number } | { refused: string }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary']
const AGGREGATORS: readonly unknown[] = ['sum', 'first', 'min', 'max', 'average', 'omit']
const LABEL_TEXT = 4096

/**
 * Reads one family as a process sent it. Whole rows are kept or refused: a histogram that lacks a bucket would lie.
 * `null` as a value is what JSON makes of NaN and the infinities, and is read as NaN, which only a gauge or a quantile
 * may be. Past `seriesLimit` the rows that came first stay, so that the same ones stay at the next message.
 */
export function readTable(raw: unknown, seriesLimit = Number.POSITIVE_INFINITY): TableReading {
  const refused = refusalOf(raw)
  if (refused !== null) return { refused }
  const family = raw as MetricFamily
  const { columns, rows, malformed } = gather(family)
  const table: FamilyTable = { ...headOf(family), columns, rows: new Map() }
  const roomForRows = Math.floor(seriesLimit / Math.max(1, columns.length))
  const reading = { table, malformed, excess: 0 }
  for (const [key, { labels, cells }] of rows) {
    const values = valuesOf(family.type, columns, cells)
    if (values === null) reading.malformed += cells.size
    else if (table.rows.size >= roomForRows) reading.excess += cells.size
    else table.rows.set(key, { labels, values })
  }
  return reading
}

/** What a process must agree on with the others before its numbers may be added to theirs. The help text may differ. */
export function shapeOf(table: FamilyTable): string {
  return `${table.type} ${table.aggregator} ${boundsOf(table)}`
}

/** The bucket bounds or quantiles, for messages: `0.1,1,+Inf`. */
export function boundsOf(table: FamilyTable): string {
  return table.columns
    .map(column => column.bound)
    .filter(bound => bound !== '')
    .join(',')
}

/** How many time series the table holds. */
export function seriesOf(table: FamilyTable): number {
  return table.rows.size * table.columns.length
}

/** The table as a family again. A quantile that is NaN is not known and is left out. */
export function familyOf(table: FamilyTable): MetricFamily {
  const { name, help, type, aggregator } = table
  const values: MetricSample[] = []
  for (const row of table.rows.values()) {
    table.columns.forEach((column, at) => {
      const value = row.values[at] ?? Number.NaN
      if (column.kind === 'quantile' && Number.isNaN(value)) return
      values.push(sampleOf(name, column, row.labels, value))
    })
  }
  return { name, help, type, aggregator, values }
}

function headOf({ name, help, type, aggregator = 'sum' }: MetricFamily) {
  return { name, help, type, aggregator }
}

function refusalOf(raw: unknown): string | null {
  if (!isRecord(raw)) return 'not an object'
  if (typeof raw.name !== 'string' || !NAME.test(raw.name) || raw.name.length > 256) return 'not a metric name'
  if (typeof raw.help !== 'string' || raw.help.length > LABEL_TEXT) return 'no help text or one of over 4096 characters'
  if (!TYPES.includes(raw.type)) return `unknown type ${String(raw.type).slice(0, 40)}`
  if (raw.aggregator !== undefined && !AGGREGATORS.includes(raw.aggregator)) {
    return `unknown aggregator ${String(raw.aggregator).slice(0, 40)}`
  }
  return Array.isArray(raw.values) ? null : 'no values'
}

interface Gathered {
  columns: Column[]
  rows: Map<string, { labels: [string, string][]; cells: Map<string, number> }>
  malformed: number
}

/** Sorts the samples into rows and columns; a row may still lack some columns. */
function gather(family: MetricFamily): Gathered {
  const rows: Gathered['rows'] = new Map()
  const columns = new Map<string, Column>()
  let malformed = 0
  for (const sample of family.values) {
    const cell = readCell(family, sample)
    if (cell === null) {
      malformed += 1
      continue
    }
    const { rowKey, labels, column, value } = cell
    const columnKey = keyOf(column)
    if (!columns.has(columnKey)) columns.set(columnKey, column)
    const cells = rows.get(rowKey)?.cells
    if (cells === undefined) rows.set(rowKey, { labels, cells: new Map([[columnKey, value]]) })
    else cells.set(columnKey, addTwin(family.type, cells.get(columnKey), value))
  }
  return { columns: [...columns.values()].sort(inPrintingOrder), rows, malformed }
}

function keyOf(column: Column): string {
  return column.kind + column.bound
}

interface Cell {
  rowKey: string
  labels: [string, string][]
  column: Column
  value: number
}

function readCell(family: MetricFamily, sample: unknown): Cell | null {
  if (!isRecord(sample)) return null
  const value = sample.value === null ? Number.NaN : sample.value
  const read = readLabels(sample.labels ?? {}, family.type)
  const column = read === null ? null : columnOf(family, sample.metricName, read.bound)
  if (typeof value !== 'number' || read === null || column === null) return null
  if (!Number.isFinite(value) && family.type !== 'gauge' && column.kind !== 'quantile') return null
  return { rowKey: read.rowKey, labels: read.labels, column, value }
}

/**
 * The labels without `le` and `quantile`, sorted, and the key that equal label sets share. An empty value is the same
 * as no label to Prometheus, so it is dropped: `{a=""}` and `{}` printed side by side would be one series given twice.
 */
function readLabels(raw: unknown, type: MetricType) {
  if (!isRecord(raw)) return null
  const boundLabel = type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : null
  const labels: [string, string][] = []
  let bound = ''
  let length = 0
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined || value === '') continue
    if (!LABEL.test(name) || (typeof value === 'object' && value !== null)) return null
    const text = String(value)
    length += name.length + text.length
    if (name === boundLabel) bound = text
    else labels.push([name, text])
  }
  if (length > LABEL_TEXT) return null
  if (labels.length > 1) labels.sort(([a], [b]) => (a < b ? -1 : 1))
  let rowKey = ''
  // The length before each value keeps two label sets from sharing a key, whatever their values contain.
  for (const [name, text] of labels) rowKey += `${name}=${text.length}:${text},`
  return { labels, bound, rowKey }
}

function columnOf(family: MetricFamily, metricName: unknown, bound: string): Column | null {
  const suffix = suffixOf(family.name, metricName)
  if (family.type === 'counter' || family.type === 'gauge') return suffix === '' ? { kind: 'value', bound: '' } : null
  if (suffix === '_sum') return { kind: 'sum', bound: '' }
  if (suffix === '_count') return { kind: 'count', bound: '' }
  // Printed anew, so that `0.50` is `0.5` and no bound can smuggle a quote or a newline into the exposition.
  const printed = bound === '+Inf' ? bound : String(boundValue(bound))
  if (!/^[-+.\dInfe]+$/.test(printed)) return null
  if (family.type === 'histogram') return suffix === '_bucket' ? { kind: 'bucket', bound: printed } : null
  return suffix === '' ? { kind: 'quantile', bound: printed } : null
}

function suffixOf(name: string, metricName: unknown): string | null {
  if (metricName === undefined || metricName === null) return ''
  return typeof metricName === 'string' && metricName.startsWith(name) ? metricName.slice(name.length) : null
}

/** Two samples of one process with the same labels: what only counts adds up, of what measures the last one stands. */
function addTwin(type: MetricType, before: number | undefined, value: number): number {
  return before === undefined || type === 'gauge' || type === 'summary' ? value : before + value
}

const KIND_ORDER = { quantile: 0, bucket: 0, value: 0, sum: 1, count: 2 }

function inPrintingOrder(a: Column, b: Column): number {
  return KIND_ORDER[a.kind] - KIND_ORDER[b.kind] || boundValue(a.bound) - boundValue(b.bound) || 0
}

function boundValue(bound: string): number {
  if (bound === '+Inf') return Number.POSITIVE_INFINITY
  return bound === '' ? Number.NaN : Number(bound)
}

/**
 * The row's numbers in the columns' order; null if one is missing: a histogram needs every bucket, one of them +Inf,
 * and like a summary its sum and count. A quantile may be missing: it is not known then.
 */
function valuesOf(type: MetricType, columns: Column[], cells: Map<string, number>): number[] | null {
  const values: number[] = []
  for (const column of columns) {
    const value = cells.get(keyOf(column)) ?? (column.kind === 'quantile' ? Number.NaN : null)
    if (value === null) return null
    values.push(value)
  }
  if (type === 'counter' || type === 'gauge') return values
  if (type === 'histogram' && columns.at(-3)?.bound !== '+Inf') return null
  return columns.at(-2)?.kind === 'sum' && columns.at(-1)?.kind === 'count' ? values : null
}

function sampleOf(name: string, column: Column, labels: [string, string][], value: number): MetricSample {
  const named = Object.fromEntries(labels)
  if (column.kind === 'bucket') return { metricName: `${name}_bucket`, labels: { ...named, le: column.bound }, value }
  if (column.kind === 'quantile') return { labels: { ...named, quantile: column.bound }, value }
  if (column.kind === 'value') return { labels: named, value }
  return { metricName: `${name}_${column.kind}`, labels: named, value }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
