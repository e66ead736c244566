/**
 * Draws `daimyo top`: a view and the size of the terminal become lines. Pure; `top-command.ts` writes them. Must stay
 * true: never more lines or columns than the terminal has, and no control character of other programs.
 */

import type { InFlightRequest } from '../../kit/channel/messages.js'
import { printable } from '../log/printable.js'
import { type Column, headline, printAge, printOptional, printTable, workerColumns } from './status-table.js'
import type { TopView } from './top-view.js'

export interface ScreenSize {
  columns: number
  rows: number
}

/** The least heights of parts that shrink on a low terminal, in their order on the screen. */
const LEAST_REQUESTS = 3
const LEAST_EVENTS = 2

/** The lines, top down. `nowMs` in milliseconds since the epoch. */
export function drawTop(view: TopView, size: ScreenSize, nowMs: number): string[] {
  const { status, inFlight, events } = view.report
  const rateColumn: Column<(typeof status.workers)[number]> = {
    title: 'REQ/S',
    align: 'right',
    print: ({ workerId }) => printOptional(view.rates.get(workerId) ?? null, rate => rate.toFixed(rate < 10 ? 1 : 0)),
  }
  const at = workerColumns.findIndex(({ title }) => title === 'IN FLIGHT')
  const columns = [...workerColumns.slice(0, at), rateColumn, ...workerColumns.slice(at)]
  const head = [headline(status, nowMs), totals(view), '']
  const room = Math.max(0, size.rows - head.length)
  const low = Math.min(room, LEAST_REQUESTS + LEAST_EVENTS + 4)
  const workers = atMost(printTable(columns, status.workers, nowMs), Math.max(Math.ceil(room / 2), room - low))
  const left = Math.max(0, room - workers.length)
  const requests = atMost(requestLines(inFlight), Math.max(0, Math.min(Math.ceil(left / 2), inFlight.length + 2)))
  const rest = left - requests.length
  const last = rest < 3 ? [] : ['', 'LAST EVENTS', ...events.slice(-(rest - 2))]
  return [...head, ...workers, ...requests, ...last].slice(0, size.rows).map(line =>
    printable(line)
      .replace(/[\t\n]/g, ' ')
      .slice(0, size.columns)
      .trimEnd(),
  )
}

function totals({ report, rate, p50Seconds, p99Seconds }: TopView): string {
  const { status, queued, connections } = report
  const inFlight = status.workers.reduce((sum, worker) => sum + worker.inFlight, 0)
  const requests = printOptional(rate, value => value.toFixed(value < 10 ? 1 : 0))
  return (
    `${requests} requests/s, p50 ${printSeconds(p50Seconds)}, p99 ${printSeconds(p99Seconds)}, in flight ${inFlight}, ` +
    `queued ${queued}, connections ${connections}`
  )
}

/** An upper bound, as the histogram knows it. */
function printSeconds(seconds: number | null): string {
  if (seconds === null) return '-'
  return seconds < 1 ? `≤${Number((seconds * 1000).toPrecision(3))}ms` : `≤${seconds}s`
}

const requestColumns: Column<InFlightRequest>[] = [
  { title: 'AGE', align: 'right', print: ({ ageMs }) => (ageMs < 1000 ? `${ageMs}ms` : printAge(ageMs)) },
  { title: 'SLOT', align: 'right', print: ({ slot }) => (slot === 0 ? 'waits' : String(slot)) },
  { title: 'METHOD', align: 'left', print: ({ method }) => method },
  { title: 'PATH', align: 'left', print: ({ path }) => path },
]

function requestLines(requests: InFlightRequest[]): string[] {
  return requests.length === 0 ? [] : ['', ...printTable(requestColumns, requests, 0)]
}

/** At most `most` lines: the last one counts those that are left out. */
function atMost(lines: string[], most: number): string[] {
  if (lines.length <= most) return lines
  return most < 1 ? [] : [...lines.slice(0, most - 1), `… and ${lines.length - most + 1} more`]
}
