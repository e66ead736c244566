/**
 * What the master knows of the metrics of all its children: their last snapshots, and the sums of those that are gone.
 * The master feeds it with the `metrics` messages of workers and proxies and reads it at each scrape; no scrape ever
 * asks a child.
 *
 * What must stay true: a counter, a histogram and the sum and count of a summary never fall because a process was
 * replaced, crashed or reset its own. The one way down is that the application removes a label set in every process
 * that has it. Gauges die with their process. What is left out for a limit or a conflict is counted in the output and
 * told once in the log.
 *
 * When a new generation changes a histogram's buckets, both forms are kept while both generations live, the one of the
 * majority is shown and the other reported; the old form is forgotten with its last process. Prometheus sees other `le`
 * series then, no falling ones.
 */

import type { EventFields, Log } from '../../kit/log.js'
import type { MetricFamily } from '../../kit/metric-family.js'
import { type FamilyTable, familyOf, type Row, readTable, seriesOf, shapeOf } from './family-table.js'
import { type Conflict, mergeFamilies } from './merge-families.js'
import { SettledTables } from './settled-tables.js'

export interface MetricsStoreOptions {
  log: Log
  /** Time series that one process may ship; what is past it is left out. */
  seriesPerSource?: number
  /** Time series kept for all processes that are gone. */
  settledSeries?: number
}

export interface MetricsReading {
  families: MetricFamily[]
  conflicts: Conflict[]
}

interface Source {
  tables: Map<string, FamilyTable>
  series: number
  /** By family: series left out now, and why. */
  leftOut: Map<string, { malformed: number; limit: number }>
}

/**
 * How many processes that are gone are kept apart from the sums, because a last message of theirs may still be under
 * way.
 */
const DEPARTED = 16
/** Names of things left out that are remembered; past so many the log has enough of them. */
const TOLD = 1000

export class MetricsStore {
  readonly #log: Log
  readonly #seriesPerSource: number
  readonly #live = new Map<string, Source>()
  readonly #departed = new Map<string, Source>()
  readonly #settled: SettledTables
  readonly #told = new Set<string>()

  constructor({ log, seriesPerSource = 10_000, settledSeries = 50_000 }: MetricsStoreOptions) {
    this.#log = log
    this.#seriesPerSource = seriesPerSource
    this.#settled = new SettledTables(settledSeries)
  }

  /**
   * Takes in a message: families with values since that process started; families that it does not name stay as they
   * are, and one without values is gone. `sourceId` is unique for ever (`worker-17`). A last message after `retire`
   * still counts.
   */
  update(sourceId: string, families: readonly MetricFamily[]): void {
    if (!Array.isArray(families)) return
    const source = this.#live.get(sourceId) ?? this.#departed.get(sourceId) ?? this.#admit(sourceId)
    for (const family of families) this.#take(sourceId, source, family)
  }

  /**
   * The process is gone: its counts stay, its gauges go. Harmless for one that never sent anything or was retired
   * before.
   */
  retire(sourceId: string): void {
    const source = this.#live.get(sourceId)
    if (source === undefined) return
    this.#live.delete(sourceId)
    this.#departed.set(sourceId, source)
    source.leftOut.clear()
    for (const [id, departed] of this.#departed) {
      if (this.#departed.size <= DEPARTED) return
      this.#departed.delete(id)
      for (const table of departed.tables.values()) this.#settle(table)
    }
  }

  /** Everything as one, with `daimyo_metrics_conflicts` and `daimyo_metrics_series_left_out` about itself. */
  families(): MetricsReading {
    const live = Array.from(this.#live.values(), source => source.tables.values())
    const { tables, conflicts } = mergeFamilies(live, this.#gone())
    this.#tellConflicts(conflicts)
    return { families: [...tables.map(familyOf), conflictFamily(conflicts), this.#leftOutFamily()], conflicts }
  }

  #admit(sourceId: string): Source {
    const source: Source = { tables: new Map(), series: 0, leftOut: new Map() }
    this.#live.set(sourceId, source)
    return source
  }

  *#gone(): Iterable<FamilyTable> {
    yield* this.#settled.tables()
    for (const source of this.#departed.values()) {
      for (const table of source.tables.values()) if (table.type !== 'gauge') yield table
    }
  }

  #take(sourceId: string, source: Source, family: MetricFamily): void {
    const before = source.tables.get(family?.name)
    const room = this.#seriesPerSource - source.series + (before === undefined ? 0 : seriesOf(before))
    const reading = readTable(family, room)
    if ('refused' in reading) {
      const name = String(family?.name).slice(0, 100)
      this.#tell(`refused ${name} ${reading.refused}`, 'metrics-refused', {
        source: sourceId,
        name,
        why: reading.refused,
      })
      return
    }
    const { table, malformed, excess } = reading
    this.#noteLeftOut(sourceId, source, table.name, malformed, excess)
    if (before !== undefined && before.type !== 'gauge') this.#carryOver(source, before, table)
    source.series += seriesOf(table) - (before === undefined ? 0 : seriesOf(before))
    if (table.rows.size === 0) source.tables.delete(table.name)
    else source.tables.set(table.name, table)
  }

  /** Saves what a living process reset, removed or changed the shape of, so that the sum over all does not fall. */
  #carryOver(source: Source, before: FamilyTable, now: FamilyTable): void {
    const same = now.rows.size === 0 || shapeOf(before) === shapeOf(now)
    for (const [key, row] of before.rows) {
      const next = now.rows.get(key)
      const reset = !same || (next !== undefined && (next.values.at(-1) ?? 0) < (row.values.at(-1) ?? 0))
      if (reset || (next === undefined && this.#othersHave(source, before.name, key))) this.#add(before, key, row)
      else if (next === undefined) this.#settled.forgetRow(before.name, key)
    }
  }

  #othersHave(source: Source, name: string, key: string): boolean {
    for (const sources of [this.#live, this.#departed]) {
      for (const other of sources.values()) {
        if (other !== source && other.tables.get(name)?.rows.has(key)) return true
      }
    }
    return false
  }

  /** Adds a gone process's table to the sums, unless all that live have the family in another form. */
  #settle(table: FamilyTable): void {
    if (table.type === 'gauge') return
    const shapes = new Set<string>()
    for (const source of this.#live.values()) {
      const living = source.tables.get(table.name)
      if (living !== undefined) shapes.add(shapeOf(living))
    }
    if (shapes.size > 0) this.#settled.keepShapes(table.name, shapes)
    if (shapes.size > 0 && !shapes.has(shapeOf(table))) return
    for (const [key, row] of table.rows) this.#add(table, key, row)
  }

  #add(table: FamilyTable, key: string, row: Row): void {
    if (this.#settled.add(table, key, row)) return
    this.#tell(`settled ${table.name}`, 'metrics-left-out', {
      name: table.name,
      why: 'too many series of gone processes',
    })
  }

  #noteLeftOut(sourceId: string, source: Source, name: string, malformed: number, limit: number): void {
    source.leftOut.delete(name)
    if (malformed + limit === 0 || source.leftOut.size >= TOLD) return
    source.leftOut.set(name, { malformed, limit })
    const why = limit > 0 ? `over ${this.#seriesPerSource} series in one process` : 'malformed samples'
    this.#tell(`left out ${name} ${why}`, 'metrics-left-out', {
      source: sourceId,
      name,
      series: malformed + limit,
      why,
    })
  }

  #tellConflicts(conflicts: Conflict[]): void {
    const current = new Set(conflicts.map(conflict => `conflict ${conflict.name}`))
    for (const told of this.#told) if (told.startsWith('conflict ') && !current.has(told)) this.#told.delete(told)
    for (const { name, ...fields } of conflicts) this.#tell(`conflict ${name}`, 'metrics-conflict', { name, ...fields })
  }

  #tell(once: string, event: string, fields: EventFields): void {
    if (this.#told.has(once) || this.#told.size >= TOLD) return
    this.#told.add(once)
    this.#log(event, fields)
  }

  #leftOutFamily(): MetricFamily {
    const sums = new Map<string, number>()
    const add = (name: string, why: string, series: number) => {
      if (series > 0) sums.set(`${name} ${why}`, (sums.get(`${name} ${why}`) ?? 0) + series)
    }
    for (const { leftOut } of this.#live.values()) {
      for (const [name, { malformed, limit }] of leftOut) {
        add(name, 'malformed', malformed)
        add(name, 'limit', limit)
      }
    }
    for (const [name, series] of this.#settled.lost) add(name, 'gone', series)
    const values = Array.from(sums, ([key, value]) => {
      const [name = '', why = ''] = key.split(' ')
      return { labels: { name, why }, value }
    })
    const help =
      'Time series left out: malformed or over the limit of a process (now), of gone processes (since the start)'
    return { name: 'daimyo_metrics_series_left_out', help, type: 'gauge', aggregator: 'sum', values }
  }
}

function conflictFamily(conflicts: Conflict[]): MetricFamily {
  const help = 'Processes whose metric is not shown because its type, aggregator or buckets differ from the others'
  const values = conflicts.map(({ name, processes }) => ({ labels: { name }, value: processes }))
  return { name: 'daimyo_metrics_conflicts', help, type: 'gauge', aggregator: 'sum', values }
}
