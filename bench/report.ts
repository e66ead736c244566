/**
 * How results are printed: the blocks on the terminal and `docs/benchmarks.md`. Pure; `main.ts` calls it.
 * Both show the same tables; the document adds what was compared and how.
 */

import type { Machine } from './machine.js'
import type { CaseResult, StackResult } from './measure.js'
import { daimyo } from './stacks/daimyo.js'
import { BASE } from './stacks/list.js'
import type { Stack } from './stacks/stack.js'
import { type Figures, ratio } from './statistics.js'

/** The results of one run of the bench. `notes`: stacks that were missing, and failures. */
export interface Results {
  machine: Machine
  seconds: number
  rounds: number
  cases: CaseResult[]
  notes: string[]
}

/** Title and text of each column; `base` are the figures that ratios are relative to. */
const COLUMNS: [title: string, text: (row: StackResult, base: Figures | undefined) => string][] = [
  ['stack', ({ name }) => name],
  ['requests/s', ({ figures }) => number(figures.requestsPerSecond, 0)],
  ['p50 ms', ({ figures }) => number(figures.p50Ms, 2)],
  ['p99 ms', ({ figures }) => number(figures.p99Ms, 2)],
  ['CPU µs/request', ({ figures }) => number(figures.cpuMicrosecondsPerRequest, 1)],
  ['GC', ({ gc }) => (gc === null ? '—' : `${number(100 * gc, 1)} %`)],
  ['errors', ({ figures }) => validity(figures)],
  [`throughput ÷ ${BASE}`, ({ figures }, base) => number(ratio(figures.requestsPerSecond, base?.requestsPerSecond), 2)],
  [`p99 ÷ ${BASE}`, ({ figures }, base) => number(ratio(figures.p99Ms, base?.p99Ms), 2)],
  [
    `CPU ÷ ${BASE}`,
    ({ figures }, base) => number(ratio(figures.cpuMicrosecondsPerRequest, base?.cpuMicrosecondsPerRequest), 2),
  ],
]

/** One case as a table with a title, and below it why runs of it are invalid. */
export function renderCase({ title, path, connections, stacks }: CaseResult): string {
  const base = stacks.find(({ name }) => name === BASE)?.figures
  const rows = stacks.map(row => COLUMNS.map(([, text]) => text(row, base)))
  const reasons = stacks.flatMap(({ name, figures }) =>
    figures.invalid.map(reason => `- ${name}, an invalid run: ${reason}`),
  )
  const heading = `### ${title}, ${connections} connection${connections === 1 ? '' : 's'}`
  const blocks = [heading, `\`${path}\``, renderTable([COLUMNS.map(([name]) => name), ...rows])]
  if (reasons.length > 0) blocks.push([...new Set(reasons)].join('\n'))
  return `${blocks.join('\n\n')}\n`
}

/** Where and how it was measured, in two lines. */
export function renderConditions({ machine, seconds, rounds }: Omit<Results, 'cases' | 'notes'>): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version ?? 'missing'}`)
  return `${machine.date}: ${versions.join(', ')}; Linux ${machine.kernel}, ${machine.cores} cores.
${rounds === 1 ? 'One round' : `Medians of ${rounds} rounds`} of ${seconds} s for each stack, in turns.
`
}

/** The part of `docs/benchmarks.md` that does not depend on a run. */
export function renderPreface(stacks: readonly Stack[]): string {
  return `# Benchmarks

\`npm run bench -- --write\` writes this page; do not edit it. \`npm run bench -- --help\` lists the options. The bench needs
Linux and the Debian packages \`wrk\`, \`nginx\`, \`haproxy\` and \`caddy\`; without one of the last three, that stack is left
out, and this page is not written.

What is compared:

${stacks.map(({ name, title }) => `- **${name}**: ${title}`).join('\n')}

How to read the tables:

- All stacks run on one machine together with the load generator (\`wrk\`, one thread). The load generator takes a part of
  the CPU, so throughput is lower than on a machine of its own.
- CPU per request is user and system time of **all** processes of the stack, divided by the number of answered requests.
- GC is the part of the CPU time of daimyo's proxies that garbage collection takes, at most: pauses of the main thread by
  the wall clock, and all CPU time of V8's worker threads, which compile code too. It comes from one run of 2 s on a second
  daimyo whose proxies count it, so it costs the other figures nothing. Workers, and stacks of others, are not counted.
- wrk is a closed loop: each connection sends its next request after the response. The percentiles belong to that number
  of connections.
- Before every run one request is checked for the expected status and length. A run with a status of 400 or above, or with
  a socket error, is invalid and enters no median; the reason stands below the table.
- nginx, HAProxy, Caddy and daimyo write an access log to a file; http-proxy has none. All five add the forwarded headers.
  node:cluster and the bare server do neither.
- A stack that cannot answer a case is left out of its table: HAProxy, http-proxy and node:cluster serve no files. Small
  JSON is measured with HAProxy, Caddy and node:cluster at 64 connections only.
`
}

/** The whole of `docs/benchmarks.md`; without results, its text until the first run. */
export function renderDocument(stacks: readonly Stack[], results: Results | null): string {
  if (results === null) return `${renderPreface(stacks)}\n## Figures\n\nNot measured yet.\n`
  const notes =
    results.notes.length === 0 ? '' : `\n${results.notes.map(note => `- ${note.replaceAll('\n', ' ')}`).join('\n')}\n`
  const cases = results.cases.map(result => `\n${renderCase(result)}`).join('')
  return `${renderPreface(stacks)}\n## Figures\n\n${renderConditions(results)}${notes}${cases}`
}

/**
 * Whether a case must not be published. None of our own runs may be invalid: that is a bug. More than half of the runs
 * of a peer must be valid; the page names the others.
 */
export function isUnfit({ stacks }: CaseResult): boolean {
  return stacks.some(({ name, figures: { invalid, rounds } }) => {
    const isOurs = name.startsWith(daimyo.name)
    return isOurs ? invalid.length > 0 : 2 * invalid.length >= rounds
  })
}

function validity({ errors, invalid, rounds }: Figures): string {
  return invalid.length === 0 ? String(errors) : `${errors} (${invalid.length} of ${rounds} runs invalid)`
}

function number(value: number | null, digits: number): string {
  return value === null
    ? '—'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** A Markdown table that reads well as plain text too: first column to the left, figures to the right. */
function renderTable([head = [], ...rows]: string[][]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]?.length ?? 0)))
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? `${'-'.repeat(width + 2)}` : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}
