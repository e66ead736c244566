/**
 * Prints metric families in the Prometheus text format 0.0.4, as `promtool check metrics` reads it. Called by the
 * master for `/metrics`; pure. Whatever comes in, the output stays readable: one family that Prometheus cannot read
 * costs the whole scrape.
 */

import type { MetricFamily } from '../../kit/metric-family.js'
import { type Column, type FamilyTable, type Row, readTable } from './family-table.js'

/** The content type to answer with. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * The families in their order. Of two with one name the first is printed; a family without values, or one that
 * `readTable` refuses, is left out.
 */
export function printExposition(families: readonly MetricFamily[]): string {
  const printed = new Set<string>()
  let text = ''
  for (const family of families) {
    const reading = readTable(family)
    if ('refused' in reading || reading.table.rows.size === 0 || printed.has(reading.table.name)) continue
    printed.add(reading.table.name)
    text += printTable(reading.table)
  }
  return text
}

function printTable(table: FamilyTable): string {
  let text = `# HELP ${table.name} ${escapeHelp(table.help)}\n# TYPE ${table.name} ${table.type}\n`
  for (const row of table.rows.values()) text += printRow(table, row)
  return text
}

function printRow({ name, columns }: FamilyTable, row: Row): string {
  const labels = row.labels.map(([label, value]) => `${label}="${escapeLabel(value)}"`).join(',')
  let text = ''
  columns.forEach((column, at) => {
    const value = row.values[at] ?? Number.NaN
    if (column.kind === 'quantile' && Number.isNaN(value)) return
    text += `${name}${printSuffix(column, labels)} ${printNumber(value)}\n`
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

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return /[\\\n"]/.test(text) ? escapeHelp(text).replaceAll('"', '\\"') : text
}
