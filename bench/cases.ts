/**
 * The table of the measured cases, one row each. `main.ts` selects from it, `measure.ts` runs a row, `report.ts` prints
 * its title. Paths below `/api` are those of the sample application `app/farm/`, paths below `/static` are files of
 * `site.ts`.
 */

import { EXIT, Failure } from '../kit/ground/failure.js'
import { SITE_FILES } from './site.js'

/** Which stacks can answer: `json` all, `app` those with the application behind them, `file` those that serve files. */
export type CaseKind = 'json' | 'app' | 'file'

export interface Case {
  name: string
  title: string
  kind: CaseKind
  path: string
  connections: readonly number[]
  /** Those of `connections` at which HAProxy, Caddy and node:cluster run too: at each one, a run would take too long. */
  peersAt: readonly number[]
  /** Sent as the body of a POST. */
  postBytes?: number
  /** Ask with the validator of the file, so that the answer is a 304. */
  conditional?: boolean
  /** Every answer must be this; a null length is not checked. */
  expected: { status: number; bodyBytes: number | null }
  /** Measured only with `--all` or when named by `--only`. */
  extra?: boolean
}

/** The default cases first, then those of `--all`. */
export const CASES: readonly Case[] = [
  {
    name: 'json',
    title: 'small JSON',
    kind: 'json',
    path: '/api/v1/_about',
    connections: [1, 8, 64, 256],
    peersAt: [64],
    expected: { status: 200, bodyBytes: null },
  },
  {
    name: 'static-1k',
    title: 'static file of 1 KB',
    kind: 'file',
    path: '/static/1k.txt',
    connections: [64],
    peersAt: [64],
    expected: { status: 200, bodyBytes: SITE_FILES['1k.txt'] },
  },
  {
    name: 'static-100k',
    title: 'static file of 100 KB',
    kind: 'file',
    path: '/static/100k.txt',
    connections: [64],
    peersAt: [64],
    expected: { status: 200, bodyBytes: SITE_FILES['100k.txt'] },
  },
  {
    name: 'post-4k',
    title: 'POST of 4 KB, echoed',
    kind: 'app',
    path: '/api/v1/echo',
    connections: [64],
    peersAt: [64],
    postBytes: 4096,
    expected: { status: 200, bodyBytes: 4096 },
    extra: true,
  },
  {
    name: 'stream-100k',
    title: 'application answer of 100 KB',
    kind: 'app',
    path: '/api/v1/stream?bytes=102400',
    connections: [64],
    peersAt: [64],
    expected: { status: 200, bodyBytes: 102_400 },
    extra: true,
  },
  {
    name: 'static-10m',
    title: 'static file of 10 MB',
    kind: 'file',
    path: '/static/10m.bin',
    connections: [8],
    peersAt: [8],
    expected: { status: 200, bodyBytes: SITE_FILES['10m.bin'] },
    extra: true,
  },
  {
    name: 'not-modified',
    title: 'conditional GET of a static file, 304',
    kind: 'file',
    path: '/static/1k.txt',
    connections: [64],
    peersAt: [64],
    conditional: true,
    expected: { status: 304, bodyBytes: 0 },
    extra: true,
  },
]

/**
 * The cases to measure: the named ones, else the default ones, or every one with `all`. `connections` replaces the
 * numbers of each row, those of the peers too.
 */
export function selectCases(only: readonly string[], all: boolean, connections: readonly number[]): Case[] {
  const unknown = only.find(name => !CASES.some(row => row.name === name))
  if (unknown !== undefined) {
    const accepted = CASES.map(row => row.name).join(', ')
    throw new Failure(
      'BENCH_USAGE',
      `reading the command line failed: --only=${unknown}: accepted: ${accepted}`,
      EXIT.usage,
    )
  }
  const wanted = CASES.filter(row => (only.length > 0 ? only.includes(row.name) : all || !row.extra))
  return connections.length === 0 ? wanted : wanted.map(row => ({ ...row, connections, peersAt: connections }))
}
