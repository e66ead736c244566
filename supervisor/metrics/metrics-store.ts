/**
 * The metrics of all children in the master: the last snapshot of each child, and the sums of dead ones. The `metrics`
 * messages of workers and proxies fill it, and pages are printed from it; no scrape ever asks a child.
 *
 * Must stay true: a counter, a histogram and the sum and count of a summary never fall because a process was replaced,
 * crashed or reset its own. They fall only if the application removes a label set in every process that has it, or if
 * the sums of dead processes have no room for it. Gauges end with their process. Series that are left out for a limit
 * or a conflict are counted in the output and reported once in the log.
 *
 * A worker runs application code, so it may not report daimyo's figures: `daimyo` and names that begin with `daimyo_`
 * are for proxies and the master. `update` takes any value and never throws. Its work is bounded by the number of
 * samples looked at per message, and the memory of one process by series and by bytes as printed.
 *
 * When a new generation changes a histogram's buckets, both shapes are kept while both generations live. The shape of
 * the majority is shown and the other is reported. The last few shapes without a living process are kept too, because a
 * shape may be missing only for a moment, while its worker is being replaced. Prometheus then sees other `le` series,
 * but none that falls.
 */

import { isReservedName, type MetricFamily } from '../../kit/channel/metric-family.js'
import { TokenBucket } from '../../kit/ground/token-bucket.js'
import type { EventFields, Log } from '../../kit/log/log.js'
import { describeValue, type FamilyTable, familyOf, type Row, readTable, seriesOf } from './family-table.js'
import { type Conflict, mergeFamilies } from './merge-families.js'
import { RetiredTotals } from './retired-totals.js'

export interface MetricsStoreOptions {
  log: Log
  limits?: Partial<StoreLimits>
}

/**
 * Limits in series and in bytes as printed: for one living process (`PerSource`), for the sums of all dead processes
 * together (`settled`), and for the dead processes whose last message may still come (`departed`). `samplesPerMessage`
 * and `familiesPerMessage`: the part of one message that is looked at.
 */
export interface StoreLimits {
  seriesPerSource: number
  bytesPerSource: number
  familiesPerSource: number
  settledSeries: number
  settledBytes: number
  departedBytes: number
  samplesPerMessage: number
  familiesPerMessage: number
}

/** The sender of the figures. A worker may report less than a proxy. */
export type SourceKind = 'worker' | 'proxy'

export interface MetricsReading {
  families: MetricFamily[]
  conflicts: Conflict[]
}

/**
 * The tables of each living process, the oldest process first, and of dead ones. These tables do not change any more.
 */
export interface MetricsSnapshot {
  live: FamilyTable[][]
  gone: FamilyTable[]
}

interface Source {
  tables: Map<string, FamilyTable>
  series: number
  bytes: number
  /** By family: the number of series left out now, by reason. */
  leftOut: Map<string, { malformed: number; limit: number }>
}

/** The samples and families of a message that may still be looked at, and the work done (`COST`). */
interface Budget {
  families: number
  samples: number
  cost: number
}

/**
 * The work for parts of a message. The unit is a sample with a known label set: about 6 µs to parse, check and keep it.
 * `family`: its table and its name. `newRow`: a new label set takes memory, or the room of another. `settledRow`: a
 * label set that was reset or removed is added to the sums.
 */
const COST = { family: 3, newRow: 2, settledRow: 3 }

const MB = 1024 * 1024
/** With 10,000 series an application has about 200 bytes for each. Series beyond the bounds are reported. */
const LIMITS: StoreLimits = {
  seriesPerSource: 10_000,
  bytesPerSource: 2 * MB,
  familiesPerSource: 2000,
  settledSeries: 50_000,
  settledBytes: 4 * MB,
  departedBytes: 4 * MB,
  samplesPerMessage: 20_000,
  familiesPerMessage: 4000,
}
/** Dead processes that are kept apart from the sums, because their last message may still be under way. */
const DEPARTED = 16
/** The most reports that are remembered, so that each is logged once. Further ones are not logged. */
const TOLD = 1000
/** A conflict that comes and goes is logged each time, within this rate for all conflicts. */
const LINES = { atOnce: 50, perSecond: 1 }
/** The most names in the families about left-out series and conflicts; the others are counted without a name. */
const SHOWN = 100
/** The name for left-out parts of a message or a page that have no family. */
const NAMELESS = ''

export class MetricsStore {
  readonly #log: Log
  readonly #lines = new TokenBucket(LINES, performance.now())
  readonly #limits: StoreLimits
  readonly #live = new Map<string, Source>()
  readonly #departed = new Map<string, Source>()
  readonly #retired: RetiredTotals
  readonly #told = new Set<string>()

  constructor({ log, limits = {} }: MetricsStoreOptions) {
    this.#log = log
    this.#limits = { ...LIMITS, ...limits }
    const { settledSeries: series, settledBytes: bytes } = this.#limits
    this.#retired = new RetiredTotals({ series, bytes }, (name, shape, key) => this.#isLiving(name, shape, key))
  }

  /**
   * Takes a message: families with values since the start of that process. A family that the message does not name
   * stays as it is; a family without values is removed. `sourceId` is never reused (`worker-17`). A last message after
   * `retire` still counts. `families` may be any value. Returns the work, in units of `COST`.
   */
  update(sourceId: string, families: unknown, kind: SourceKind = 'worker'): number {
    if (!Array.isArray(families)) return 0
    const source = this.#live.get(sourceId) ?? this.#departed.get(sourceId) ?? this.#admit(sourceId)
    const { familiesPerMessage, samplesPerMessage } = this.#limits
    const budget: Budget = { families: familiesPerMessage, samples: samplesPerMessage, cost: 0 }
    for (const family of families) {
      budget.families -= 1
      if (budget.families < 0) {
        const why = `over ${familiesPerMessage} families in one message`
        this.#tell(`left out of ${sourceId} ${why}`, 'metrics-left-out', { source: sourceId, why })
        break
      }
      budget.cost += COST.family
      this.#take(sourceId, source, family, kind, budget)
    }
    return budget.cost
  }

  /**
   * The process is dead: its counts stay, its gauges end. Does nothing for a process that never sent a message or was
   * retired before.
   */
  retire(sourceId: string): void {
    const source = this.#live.get(sourceId)
    if (source === undefined) return
    this.#live.delete(sourceId)
    this.#departed.set(sourceId, source)
    source.leftOut.clear()
    this.#retired.died()
    let bytes = 0
    for (const departed of this.#departed.values()) bytes += departed.bytes
    for (const [id, departed] of this.#departed) {
      if (this.#departed.size <= DEPARTED && bytes <= this.#limits.departedBytes) return
      this.#departed.delete(id)
      bytes -= departed.bytes
      for (const table of departed.tables.values()) this.#accumulate(table)
    }
  }

  /** The tables for a page. */
  snapshot(): MetricsSnapshot {
    return { live: Array.from(this.#live.values(), source => [...source.tables.values()]), gone: [...this.#gone()] }
  }

  /** The store's families about itself, for one page; each conflict is logged once. */
  about(conflicts: Conflict[], leftOutOfPage: number): MetricFamily[] {
    this.#tellConflicts(conflicts)
    if (leftOutOfPage > 0) {
      const why = 'the page is full'
      this.#tell(why, 'metrics-left-out', { series: leftOutOfPage, why })
    }
    return [conflictFamily(conflicts), this.#leftOutFamily(leftOutOfPage)]
  }

  /**
   * All families merged, with `daimyo_metrics_conflicts` and `daimyo_metrics_series_left_out` about the store itself.
   */
  families(): MetricsReading {
    const { live, gone } = this.snapshot()
    const { tables, conflicts } = mergeFamilies(live, gone)
    return { families: [...tables.map(familyOf), ...this.about(conflicts, 0)], conflicts }
  }

  /** One family, as in `families`; null: no process has it. Reserved names have no conflicts. */
  family(name: string): MetricFamily | null {
    const live = Array.from(this.#live.values(), ({ tables }) => [...tables.values()].filter(one => one.name === name))
    const gone = [...this.#gone()].filter(one => one.name === name)
    const [table] = mergeFamilies(live, gone).tables
    return table === undefined ? null : familyOf(table)
  }

  #admit(sourceId: string): Source {
    const source: Source = { tables: new Map(), series: 0, bytes: 0, leftOut: new Map() }
    this.#live.set(sourceId, source)
    return source
  }

  *#gone(): Iterable<FamilyTable> {
    yield* this.#retired.tables()
    for (const source of this.#departed.values()) {
      for (const table of source.tables.values()) if (table.type !== 'gauge') yield table
    }
  }

  #take(sourceId: string, source: Source, family: unknown, kind: SourceKind, budget: Budget): void {
    const named = (family as { name?: unknown } | null | undefined)?.name
    const name = typeof named === 'string' ? named : describeValue(named)
    if (kind === 'worker' && isReservedName(name)) return this.#refuse(sourceId, name, 'the name is reserved')
    const before = source.tables.get(name)
    const { seriesPerSource, bytesPerSource, familiesPerSource } = this.#limits
    const room = {
      series: seriesPerSource - source.series + (before === undefined ? 0 : seriesOf(before)),
      bytes: bytesPerSource - source.bytes + (before?.bytes ?? 0),
      samples: budget.samples,
    }
    const reading = readTable(family, room, before)
    if ('refused' in reading) return this.#refuse(sourceId, name, reading.refused)
    const { table, malformed, excess, looked } = reading
    budget.samples -= looked
    budget.cost += looked + COST.newRow * newRows(table, before)
    if (before === undefined && source.tables.size >= familiesPerSource) {
      return this.#noteLeftOut(sourceId, source, NAMELESS, malformed, excess + seriesOf(table))
    }
    this.#noteLeftOut(sourceId, source, table.name, malformed, excess)
    if (before !== undefined && before.type !== 'gauge') {
      budget.cost += COST.settledRow * this.#carryOver(source, before, table)
    }
    source.series += seriesOf(table) - (before === undefined ? 0 : seriesOf(before))
    source.bytes -= before?.bytes ?? 0
    if (table.rows.size === 0) {
      source.tables.delete(table.name)
    } else {
      source.tables.set(table.name, table)
      source.bytes += table.bytes
    }
  }

  #refuse(source: string, named: string, why: string): void {
    if (this.#told.size >= TOLD) return
    const name = describeValue(named)
    this.#tell(`refused ${name} ${why}`, 'metrics-refused', { source, name, why })
  }

  /**
   * Adds label sets that a living process reset, removed or gave another shape to the sums of dead processes, so that
   * the total does not fall. Returns their number.
   */
  #carryOver(source: Source, before: FamilyTable, now: FamilyTable): number {
    let carried = 0
    const same = now.rows.size === 0 || before.shape === now.shape
    for (const [key, row] of before.rows) {
      const next = now.rows.get(key)
      const reset = !same || (next !== undefined && (next.values.at(-1) ?? 0) < (row.values.at(-1) ?? 0))
      if (!reset && next !== undefined) continue
      carried += 1
      if (reset || this.#othersHave(source, before.name, key)) this.#add(before, key, row)
      else this.#retired.forgetRow(before.name, key)
    }
    return carried
  }

  #othersHave(source: Source, name: string, key: string): boolean {
    for (const sources of [this.#live, this.#departed]) {
      for (const other of sources.values()) {
        if (other !== source && other.tables.get(name)?.rows.has(key)) return true
      }
    }
    return false
  }

  #isLiving(name: string, shape: string, key?: string): boolean {
    for (const { tables } of this.#live.values()) {
      const table = tables.get(name)
      if (table?.shape === shape && (key === undefined || table.rows.has(key))) return true
    }
    return false
  }

  #accumulate(table: FamilyTable): void {
    if (table.type === 'gauge') return
    for (const [key, row] of table.rows) this.#add(table, key, row)
  }

  #add(table: FamilyTable, key: string, row: Row): void {
    if (this.#retired.add(table, key, row)) return
    this.#tell(`retired ${table.name}`, 'metrics-left-out', {
      name: table.name,
      why: 'too many series, or too large ones, of gone processes',
    })
  }

  #noteLeftOut(sourceId: string, source: Source, name: string, malformed: number, limit: number): void {
    source.leftOut.delete(name)
    if (malformed + limit === 0 || source.leftOut.size >= TOLD) return
    source.leftOut.set(name, { malformed, limit })
    const why = limit > 0 ? this.#limitText() : 'malformed samples'
    this.#tell(`left out ${name} ${why}`, 'metrics-left-out', {
      source: sourceId,
      name,
      series: malformed + limit,
      why,
    })
  }

  #limitText(): string {
    const { seriesPerSource, bytesPerSource } = this.#limits
    return `over ${seriesPerSource} series or ${bytesPerSource} bytes in one process`
  }

  #tellConflicts(conflicts: Conflict[]): void {
    const current = new Set(conflicts.map(conflict => `conflict ${conflict.name}`))
    for (const told of this.#told) if (told.startsWith('conflict ') && !current.has(told)) this.#told.delete(told)
    for (const { name, ...fields } of conflicts) this.#tell(`conflict ${name}`, 'metrics-conflict', { name, ...fields })
  }

  #tell(once: string, event: string, fields: EventFields): void {
    if (this.#told.has(once) || this.#told.size >= TOLD || !this.#lines.takeOne(performance.now())) return
    this.#told.add(once)
    this.#log(event, fields)
  }

  #leftOutFamily(ofPage: number): MetricFamily {
    const sums = new Map<string, { name: string; why: string; series: number }>()
    const add = (name: string, why: string, series: number) => {
      if (series === 0) return
      const shown = sums.has(`${name} ${why}`) || sums.size < SHOWN ? name : NAMELESS
      const sum = sums.get(`${shown} ${why}`) ?? { name: shown, why, series: 0 }
      sum.series += series
      sums.set(`${shown} ${why}`, sum)
    }
    for (const { leftOut } of this.#live.values()) {
      for (const [name, { malformed, limit }] of leftOut) {
        add(name, 'malformed', malformed)
        add(name, 'limit', limit)
      }
    }
    for (const [name, series] of this.#retired.lost) add(name, 'gone', series)
    add(NAMELESS, 'page', ofPage)
    const values = Array.from(sums.values(), ({ name, why, series }) => ({ labels: { name, why }, value: series }))
    const help =
      'Time series left out: malformed, over the limit of a process or of the page (now), of gone processes (since ' +
      'the start); without a name: of many families'
    return { name: 'daimyo_metrics_series_left_out', help, type: 'gauge', aggregator: 'sum', values }
  }
}

/** Number of new label sets. */
function newRows({ rows }: FamilyTable, before: FamilyTable | undefined): number {
  if (before === undefined) return rows.size
  let count = 0
  for (const key of rows.keys()) if (!before.rows.has(key)) count += 1
  return count
}

function conflictFamily(conflicts: Conflict[]): MetricFamily {
  const help = 'Processes whose metric is not shown because its type, aggregator or buckets differ from the others'
  const values = conflicts.slice(0, SHOWN).map(({ name, processes }) => ({ labels: { name }, value: processes }))
  const others = conflicts.slice(SHOWN).reduce((sum, { processes }) => sum + processes, 0)
  if (others > 0) values.push({ labels: { name: NAMELESS }, value: others })
  return { name: 'daimyo_metrics_conflicts', help, type: 'gauge', aggregator: 'sum', values }
}
