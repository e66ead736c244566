/**
 * One metric family as a table: a row for each label set, a column for each of its numbers (a histogram: its buckets,
 * sum, count). Families arrive as JSON from processes that run application code. `readTable` checks them: no JSON value
 * at any place can break the exposition or make the master throw. Pure.
 *
 * Must stay true: a table never changes once it is made, so a page may be printed from it while newer messages arrive.
 * Its size is counted as printed: a histogram repeats its labels in every column.
 */

import type { Aggregator, MetricFamily, MetricSample, MetricType } from '../../kit/channel/metric-family.js'
import { cutText } from '../../kit/ground/cut-text.js'

/** `bound`: the `le` or `quantile` as printed; empty for columns of another kind. */
export interface Column {
  kind: 'quantile' | 'bucket' | 'sum' | 'count' | 'value'
  bound: string
}

/**
 * `values` has one number per column. `text`: the labels as the exposition prints them, without braces. The labels are
 * kept only as this text and in the row's key: a list of many short strings would take more memory than the rest of the
 * row. `errors`: the rounding error of each value; only running sums keep them.
 */
export interface Row {
  text: string
  values: number[]
  errors?: number[]
}

export interface FamilyTable {
  name: string
  help: string
  type: MetricType
  aggregator: Aggregator
  /**
   * In the order of the exposition. In a counter, histogram or summary the last column never falls while its process
   * lives, unless the application resets it.
   */
  columns: Column[]
  rows: Map<string, Row>
  /** Processes must agree on the shape before their numbers are added up. The help may differ. */
  shape: string
  /** Bytes of a printed row without its labels. The bytes of its labels are added for each column. */
  rowBytes: number
  /** Bytes of the whole family as printed. */
  bytes: number
}

/** The room left for a process. `samples`: the number that may be looked at; it bounds the time for a message. */
export interface TableRoom {
  series: number
  bytes: number
  samples: number
}

/** `malformed`: samples refused; `excess`: samples past the room. Both count series. `looked`: samples looked at. */
export type TableReading =
  | { table: FamilyTable; malformed: number; excess: number; looked: number }
  | { refused: string }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary']
const AGGREGATORS: readonly unknown[] = ['sum', 'first', 'min', 'max', 'average', 'omit']
const LABEL_TEXT = 4096
/** Of a value in a line of the log. */
const SHOWN_CHARACTERS = 100
/** The most labels of one series, and the most buckets or quantiles of one family: far more than people use. */
const LABELS = 64
const COLUMNS = 500
/**
 * The bound of counts and of their sums, 2^63: a count of nanoseconds reaches it after 292 years. A sum of that size
 * grows in steps of 2048; a value of 1e300 would hide all other counts.
 */
export const LARGEST_COUNT = 2 ** 63
/** The longest number that JavaScript prints, the space before it and the line's end. */
const VALUE_BYTES = 26
const NO_LIMIT: TableRoom = {
  series: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
  samples: Number.POSITIVE_INFINITY,
}

/**
 * Reads one family as a process sent it; never throws. A row is kept or refused as a whole: a histogram without one of
 * its buckets would be wrong. JSON turns NaN and the infinities into `null`; `null` is read as NaN, which only a gauge
 * or a quantile may be. If there is no room for all rows, the first ones are kept, so that the next message keeps the
 * same rows. `before`: the last table of this process; a known row reuses its label text.
 */
export function readTable(raw: unknown, room: Partial<TableRoom> = {}, before?: FamilyTable): TableReading {
  const refused = refusalOf(raw)
  if (refused !== null) return { refused }
  const { series, bytes, samples } = { ...NO_LIMIT, ...room }
  const family = raw as MetricFamily
  const looked = Math.min(family.values.length, Math.max(0, samples))
  const { columns, rows, malformed } = gather(family, looked)
  if (columns.length > COLUMNS) return { refused: `over ${COLUMNS} buckets or quantiles` }
  const table = emptyTable(headOf(family), columns)
  const reading = { table, malformed, excess: family.values.length - looked, looked }
  const roomForRows = Math.floor(series / Math.max(1, columns.length))
  const places = new Map(columns.map((column, at) => [keyOf(column), at]))
  for (const [key, { labels, cells }] of rows) {
    // Each row allocates a number per column, even if it has only a few of them, so the room is checked first.
    if (table.rows.size >= roomForRows) {
      reading.excess += cells.size
      continue
    }
    const values = valuesOf(family.type, columns, places, cells)
    if (values === null) {
      reading.malformed += cells.size
      continue
    }
    const old = before?.rows.get(key)
    const text = old?.text ?? printLabels(labels)
    const more = rowBytesOf(table, text)
    if (table.bytes + more > bytes) {
      reading.excess += cells.size
      continue
    }
    table.rows.set(key, { text, values })
    table.bytes += more
  }
  return reading
}

/** A table of this shape without rows. */
export function emptyTable(head: Pick<FamilyTable, 'name' | 'help' | 'type' | 'aggregator'>, columns: Column[]) {
  const { name, help, type, aggregator } = head
  const suffixes = columns.reduce((sum, column) => sum + suffixBytes(column), 0)
  const table: FamilyTable = {
    name,
    help,
    type,
    aggregator,
    columns,
    rows: new Map(),
    shape: `${type} ${aggregator} ${columns.map(({ kind, bound }) => `${kind[0]}${bound}`).join()}`,
    rowBytes: columns.length * (name.length + VALUE_BYTES) + suffixes,
    bytes: headBytesOf(head),
  }
  return table
}

/** Bytes of the lines about a family, without its rows. */
export function headBytesOf({ name, help }: Pick<FamilyTable, 'name' | 'help'>): number {
  return 2 * name.length + Buffer.byteLength(help) + 32
}

/** Bytes of a printed row with these labels, all columns together; never too few, sometimes a little too many. */
export function rowBytesOf({ rowBytes, columns }: FamilyTable, labelText: string): number {
  return rowBytes + columns.length * Buffer.byteLength(labelText)
}

/** The bucket bounds or quantiles, for messages: `0.1,1,+Inf`. */
export function boundsOf(table: FamilyTable): string {
  return table.columns
    .map(column => column.bound)
    .filter(bound => bound !== '')
    .join(',')
}

/** The number of time series in the table. */
export function seriesOf(table: FamilyTable): number {
  return table.rows.size * table.columns.length
}

/** The table as a family again. A quantile that is NaN is unknown and left out. */
export function familyOf(table: FamilyTable): MetricFamily {
  const { name, help, type, aggregator } = table
  const values: MetricSample[] = []
  for (const [key, row] of table.rows) {
    const labels = labelsOf(key)
    table.columns.forEach((column, at) => {
      const value = row.values[at] ?? Number.NaN
      if (column.kind === 'quantile' && Number.isNaN(value)) return
      values.push(sampleOf(name, column, labels, value))
    })
  }
  return { name, help, type, aggregator, values }
}

/** The text of a help line or a label value with escaped backslashes and line ends. */
export function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** A value that a process sent, as a short text for a log line. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return cutText(value, SHOWN_CHARACTERS)
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}

function headOf({ name, help, type, aggregator = 'sum' }: MetricFamily) {
  return { name, help: help.toWellFormed(), type, aggregator }
}

function refusalOf(raw: unknown): string | null {
  if (!isRecord(raw)) return 'not an object'
  if (typeof raw.name !== 'string' || raw.name.length > 256 || !NAME.test(raw.name)) return 'not a metric name'
  if (typeof raw.help !== 'string' || raw.help.length > LABEL_TEXT) return 'no help text or one of over 4096 characters'
  if (raw.help.includes('\0')) return 'a help text with NUL'
  if (!TYPES.includes(raw.type)) return `unknown type ${describeValue(raw.type)}`
  if (raw.aggregator !== undefined && !AGGREGATORS.includes(raw.aggregator)) {
    return `unknown aggregator ${describeValue(raw.aggregator)}`
  }
  return Array.isArray(raw.values) ? null : 'no values'
}

interface Gathered {
  columns: Column[]
  rows: Map<string, { labels: [string, string][]; cells: Map<string, number> }>
  malformed: number
}

/** Sorts the first samples into rows and columns; a row may still lack some columns. */
function gather(family: MetricFamily, samples: number): Gathered {
  const rows: Gathered['rows'] = new Map()
  const columns = new Map<string, Column>()
  let malformed = 0
  for (let at = 0; at < samples; at++) {
    const cell = readCell(family, family.values[at])
    if (cell === null) {
      malformed += 1
      continue
    }
    const { rowKey, labels, column, value } = cell
    const columnKey = keyOf(column)
    if (!columns.has(columnKey)) columns.set(columnKey, column)
    const cells = rows.get(rowKey)?.cells
    if (cells === undefined) rows.set(rowKey, { labels, cells: new Map([[columnKey, value]]) })
    else cells.set(columnKey, addTwin(family.type, column.kind, cells.get(columnKey), value))
  }
  return { columns: [...columns.values()].sort(inPrintingOrder), rows, malformed }
}

function keyOf(column: Column): string {
  return column.kind + column.bound
}

/** Replaces an impossible number, so that its whole row is refused. */
const BAD = Number.NaN

interface Cell {
  rowKey: string
  labels: [string, string][]
  column: Column
  value: number
}

function readCell(family: MetricFamily, sample: unknown): Cell | null {
  if (!isRecord(sample)) return null
  const value = sample.value === null ? Number.NaN : sample.value
  if (typeof value !== 'number') return null
  const read = readLabels(sample.labels ?? {}, family.type)
  const column = read === null ? null : columnOf(family, sample.metricName, read.bound)
  if (read === null || column === null) return null
  return {
    rowKey: read.rowKey,
    labels: read.labels,
    column,
    value: mayBe(value, family.type, column.kind) ? value : BAD,
  }
}

/** A gauge and a quantile may be any number. A count is never below zero; the sum of observations may be. */
function mayBe(value: number, type: MetricType, kind: Column['kind']): boolean {
  if (type === 'gauge' || kind === 'quantile') return true
  if (!(Math.abs(value) <= LARGEST_COUNT)) return false
  return value >= 0 || kind === 'sum'
}

/**
 * The labels without `le` and `quantile`, sorted, and the key that equal label sets share. For Prometheus an empty
 * value is the same as no label, so it is dropped: `{a=""}` and `{}` side by side would be one series given twice. All
 * lone surrogates print as U+FFFD, so they are made equal here: two series that print alike are one. NUL is refused,
 * because Prometheus takes it for the end of the page.
 */
function readLabels(raw: unknown, type: MetricType) {
  if (!isRecord(raw)) return null
  const boundLabel = type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : null
  const labels: [string, string][] = []
  let bound = ''
  let length = 0
  for (const name in raw) {
    if (!Object.hasOwn(raw, name)) continue
    const value = raw[name]
    if (value === undefined || value === '') continue
    if (labels.length >= LABELS || (typeof value === 'object' && value !== null)) return null
    const text = String(value)
    length += name.length + text.length
    if (length > LABEL_TEXT || !LABEL.test(name) || text.includes('\0')) return null
    if (name === boundLabel) bound = text
    else labels.push([name, text.toWellFormed()])
  }
  if (labels.length > 1) labels.sort(([a], [b]) => (a < b ? -1 : 1))
  // The length before each value keeps two label sets from sharing a key, whatever their values contain.
  const rowKey = labels.map(([name, text]) => `${name}=${text.length}:${text},`).join('')
  return { labels, bound, rowKey }
}

/** The labels of a row, from its key. */
function labelsOf(key: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let at = 0; at < key.length; ) {
    const length = key.indexOf('=', at)
    const text = key.indexOf(':', length) + 1
    const end = text + Number(key.slice(length + 1, text - 1))
    labels[key.slice(at, length)] = key.slice(text, end)
    at = end + 1
  }
  return labels
}

function columnOf(family: MetricFamily, metricName: unknown, bound: string): Column | null {
  const suffix = suffixOf(family.name, metricName)
  if (family.type === 'counter' || family.type === 'gauge') return suffix === '' ? { kind: 'value', bound: '' } : null
  if (suffix === '_sum') return { kind: 'sum', bound: '' }
  if (suffix === '_count') return { kind: 'count', bound: '' }
  // The number is printed anew: `0.50` becomes `0.5`, and no quote or newline gets into the exposition.
  const printed = bound === '+Inf' ? bound : String(boundValue(bound))
  if (!/^[-+.\dInfe]+$/.test(printed)) return null
  if (family.type === 'histogram') return suffix === '_bucket' ? { kind: 'bucket', bound: printed } : null
  return suffix === '' ? { kind: 'quantile', bound: printed } : null
}

function suffixOf(name: string, metricName: unknown): string | null {
  if (metricName === undefined || metricName === null) return ''
  return typeof metricName === 'string' && metricName.startsWith(name) ? metricName.slice(name.length) : null
}

/** Two samples of one process with the same labels: counts add up; of a gauge or a summary the last one stays. */
function addTwin(type: MetricType, kind: Column['kind'], before: number | undefined, value: number): number {
  if (before === undefined || type === 'gauge' || type === 'summary') return value
  return mayBe(before + value, type, kind) ? before + value : BAD
}

const KIND_ORDER = { quantile: 0, bucket: 0, value: 0, sum: 1, count: 2 }

function inPrintingOrder(a: Column, b: Column): number {
  return KIND_ORDER[a.kind] - KIND_ORDER[b.kind] || boundValue(a.bound) - boundValue(b.bound) || 0
}

function boundValue(bound: string): number {
  if (bound === '+Inf') return Number.POSITIVE_INFINITY
  return bound === '' ? Number.NaN : Number(bound)
}

const SUM = keyOf({ kind: 'sum', bound: '' })
const COUNT = keyOf({ kind: 'count', bound: '' })

/**
 * The numbers of the row in the order of the columns; null if one is bad or missing. A histogram needs every bucket,
 * one of them +Inf, and like a summary its sum and count. A missing quantile is unknown. An incomplete row is refused
 * before all columns are walked through.
 */
function valuesOf(
  type: MetricType,
  columns: Column[],
  places: ReadonlyMap<string, number>,
  cells: ReadonlyMap<string, number>,
): number[] | null {
  const isPlain = type === 'counter' || type === 'gauge'
  if (!isPlain && !(cells.has(SUM) && cells.has(COUNT))) return null
  if (type !== 'summary' && cells.size !== columns.length) return null
  if (type === 'histogram' && columns.at(-3)?.bound !== '+Inf') return null
  const values = new Array<number>(columns.length).fill(Number.NaN)
  for (const [key, value] of cells) {
    const at = places.get(key) ?? 0
    if (Number.isNaN(value) && type !== 'gauge' && columns[at]?.kind !== 'quantile') return null
    values[at] = value
  }
  return values
}

function printLabels(labels: [string, string][]): string {
  return labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join()
}

function escapeLabel(text: string): string {
  return /[\\\n"]/.test(text) ? escapeHelp(text).replaceAll('"', '\\"') : text
}

function suffixBytes({ kind, bound }: Column): number {
  return `_${kind}{,quantile=""}`.length + bound.length
}

function sampleOf(name: string, column: Column, named: Record<string, string>, value: number): MetricSample {
  if (column.kind === 'bucket') return { metricName: `${name}_bucket`, labels: { ...named, le: column.bound }, value }
  if (column.kind === 'quantile') return { labels: { ...named, quantile: column.bound }, value }
  if (column.kind === 'value') return { labels: named, value }
  return { metricName: `${name}_${column.kind}`, labels: named, value }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
