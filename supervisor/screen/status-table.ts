/** The report of a running master as text for people: `daimyo status`. Pure: time is passed in. */

import { describeUnended } from '../../kit/process/tracers.js'
import type { ProxyReport, StatusReport, WorkerReport } from '../control/control-protocol.js'
import { describeReadiness, readiness } from '../control/readiness.js'

/** One column of a table of rows. */
export interface Column<Row> {
  title: string
  align: 'left' | 'right'
  print: (row: Row, nowMs: number) => string
}

/** Columns of `daimyo status`, and of `daimyo top`, which adds one. */
export const workerColumns: Column<WorkerReport>[] = [
  { title: 'SLOT', align: 'right', print: worker => String(worker.slot) },
  { title: 'PID', align: 'right', print: worker => printOptional(worker.pid, String) },
  { title: 'PHASE', align: 'left', print: worker => worker.phase },
  { title: 'GEN', align: 'right', print: worker => String(worker.generation) },
  { title: 'REQUESTS', align: 'right', print: worker => String(worker.requests) },
  { title: 'IN FLIGHT', align: 'right', print: worker => String(worker.inFlight) },
  { title: 'RSS', align: 'right', print: worker => printOptional(worker.rssBytes, printBytes) },
  { title: 'CPU', align: 'right', print: worker => printOptional(worker.cpuPercent, printPercent) },
  { title: 'LAG', align: 'right', print: worker => printOptional(worker.lagMs, lag => `${Math.round(lag)}ms`) },
  { title: 'DEATHS', align: 'right', print: worker => String(worker.deaths) },
  { title: 'SINCE', align: 'right', print: (worker, nowMs) => printAge(nowMs - worker.sinceMs) },
  { title: 'WHY', align: 'left', print: worker => oneLine(worker.why) },
]

const proxyColumns: Column<ProxyReport>[] = [
  { title: 'PROXY', align: 'right', print: proxy => String(proxy.proxyId) },
  { title: 'PID', align: 'right', print: proxy => printOptional(proxy.pid, String) },
  { title: 'PHASE', align: 'left', print: proxy => proxy.phase },
  { title: 'RSS', align: 'right', print: proxy => printOptional(proxy.rssBytes, printBytes) },
  { title: 'CPU', align: 'right', print: proxy => printOptional(proxy.cpuPercent, printPercent) },
  { title: 'DEATHS', align: 'right', print: proxy => String(proxy.deaths) },
  { title: 'SINCE', align: 'right', print: (proxy, nowMs) => printAge(nowMs - proxy.sinceMs) },
]

/** The whole report, several lines with a newline at the end. `nowMs` in milliseconds since the epoch. */
export function printStatus(report: StatusReport, nowMs: number): string {
  const lines = [headline(report, nowMs), ...report.urls.map(url => `  ${url}`)]
  if (report.metricsUrl !== null) lines.push(`  ${report.metricsUrl} (metrics)`)
  for (const notice of report.restart ?? []) lines.push(`  ${oneLine(notice)}`)
  for (const left of report.unended ?? []) lines.push(`  ${oneLine(describeUnended(left))}`)
  if (report.workers.length > 0) lines.push('', ...printTable(workerColumns, report.workers, nowMs))
  if (report.proxies.length > 0) lines.push('', ...printTable(proxyColumns, report.proxies, nowMs))
  return `${lines.join('\n')}\n`
}

/** `1.5M`: three figures, binary units. */
export function printBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < 4) {
    value /= 1024
    unit += 1
  }
  return `${value >= 9.95 || unit === 0 ? Math.round(value) : value.toFixed(1)}${['B', 'K', 'M', 'G', 'T'][unit]}`
}

/** `5s`, `3m05s`, `2h07m`, `4d03h`; a clock that was set back gives `0s`. */
export function printAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000))
  const pair = (value: number, per: number) => String(Math.floor(value / per)).padStart(2, '0')
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${pair(seconds % 60, 1)}s`
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h${pair(seconds % 3600, 60)}m`
  return `${Math.floor(seconds / 86400)}d${pair(seconds % 86400, 3600)}h`
}

/** One line about the master as a whole. */
export function headline(report: StatusReport, nowMs: number): string {
  const doing = `${report.stopping ? ', stopping' : report.reloading ? ', reloading' : ''}${report.paused ? ', paused' : ''}`
  const workers = report.wanted === 0 ? 'no workers' : describeReadiness(readiness(report.workers), report.wanted)
  const ini = report.iniPath === null ? '' : ` ${oneLine(report.iniPath)}`
  return `daimyo ${report.version}${ini}: pid ${report.pid}, ${workers}, generation ${report.generation}, up ${printAge(nowMs - report.sinceMs)}${doing}`
}

/** A title line and one line a row; without rows only the titles. */
export function printTable<Row>(columns: Column<Row>[], rows: Row[], nowMs: number): string[] {
  const cells = rows.map(row => columns.map(column => column.print(row, nowMs)))
  const widths = columns.map((column, at) => Math.max(column.title.length, ...cells.map(line => line[at]?.length ?? 0)))
  const pad = (line: string[]) =>
    line
      .map((cell, at) =>
        columns[at]?.align === 'right' ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [pad(columns.map(column => column.title)), ...cells.map(pad)]
}

/** `-` if the value is not known. */
export function printOptional(value: number | null, print: (value: number) => string): string {
  return value === null ? '-' : print(value)
}

function printPercent(percent: number): string {
  return `${percent.toFixed(percent < 10 ? 1 : 0)}%`
}

/** A reason may quote the application: no control character of it reaches the terminal. */
function oneLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
}
