/**
 * Reads answers from a control socket. Another user's process may have sent them. Must stay true: an answer has the
 * types that `control-protocol.ts` declares, to its leaves, or it is rejected; no string in it can move a terminal's
 * cursor or look like a line of our own. Pure.
 */

import { parseWithin } from '../../kit/channel/json-bounds.js'
import type { UnendedProcess } from '../../kit/process/tracers.js'
import { printableParagraph } from '../log/printable.js'
import type { ControlAnswer, ProxyReport, StatusReport, TopReport, WorkerReport } from './control-protocol.js'

type Check = (value: unknown) => boolean

/** A reason may name two paths (PATH_MAX). A longer text stands only in a line of its own, such as those of a stack. */
const LONGEST_TEXT = 2 * 4096 + 1000
/** A word in a column of a table, which is as wide as its longest cell. */
const LONGEST_WORD = 200

const upTo =
  (characters: number): Check =>
  value =>
    typeof value === 'string' && value.length <= characters
const line = upTo(Number.POSITIVE_INFINITY)
const text = upTo(LONGEST_TEXT)
const word = upTo(LONGEST_WORD)
const flag: Check = value => typeof value === 'boolean'
/** JSON has no NaN and no Infinity, but `JSON.parse` reads 1e999 as Infinity. */
const figure: Check = value => typeof value === 'number' && Number.isFinite(value)
const count: Check = value => Number.isSafeInteger(value) && (value as number) >= 0
const pid: Check = value => Number.isSafeInteger(value) && (value as number) > 0
const orNull =
  (check: Check): Check =>
  value =>
    value === null || check(value)
const orNone =
  (check: Check): Check =>
  value =>
    value === undefined || check(value)
const list =
  (check: Check): Check =>
  value =>
    Array.isArray(value) && value.every(check)

/** A record with at least these fields; one that the table forgets does not compile. */
function record<T>(fields: { [Name in keyof T]-?: Check }): Check {
  const checks = Object.entries<Check>(fields)
  return value =>
    typeof value === 'object' &&
    value !== null &&
    checks.every(([name, check]) => check(Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined))
}

const worker = record<WorkerReport>({
  slot: count,
  workerId: count,
  pid: orNull(pid),
  phase: word,
  why: text,
  generation: count,
  requests: figure,
  inFlight: figure,
  rssBytes: orNull(figure),
  cpuPercent: orNull(figure),
  lagMs: orNull(figure),
  deaths: count,
  sinceMs: figure,
  socketPath: text,
})

const proxy = record<ProxyReport>({
  proxyId: count,
  pid: orNull(pid),
  phase: word,
  rssBytes: orNull(figure),
  cpuPercent: orNull(figure),
  deaths: count,
  sinceMs: figure,
})

const unended = orNone(list(record<UnendedProcess>({ pid, what: text, why: text })))

const status = record<StatusReport>({
  version: word,
  pid,
  generation: count,
  sinceMs: figure,
  iniPath: orNull(text),
  iniSection: orNone(text),
  urls: list(text),
  metricsUrl: orNull(text),
  wanted: count,
  stopping: flag,
  reloading: flag,
  paused: flag,
  restart: orNone(list(text)),
  workers: list(worker),
  proxies: list(proxy),
  unended,
})

const top = record<TopReport>({
  status,
  latency: list(record<TopReport['latency'][number]>({ seconds: orNull(figure), count: figure })),
  queued: figure,
  connections: figure,
  inFlight: list(record<TopReport['inFlight'][number]>({ method: word, path: line, ageMs: figure, slot: figure })),
  events: list(text),
})

const progress = record<{ text: string }>({ text: line })
const done = record<{ status?: StatusReport; top?: TopReport; unended?: UnendedProcess[] }>({
  status: orNone(status),
  top: orNone(top),
  unended,
})
const failed = record<{ reason: string; lines: string[] }>({ reason: line, lines: list(line) })

/** The answer of one line; null: it is not valid. */
export function readAnswer(sent: string): ControlAnswer | null {
  const answer = parse(sent)
  if (typeof answer !== 'object' || answer === null) return null
  const { type, ok } = answer as { type?: unknown; ok?: unknown }
  const isAnswer = type === 'progress' ? progress(answer) : type === 'done' && (ok === true ? done : failed)(answer)
  if (!isAnswer || (type === 'done' && typeof ok !== 'boolean')) return null
  return answer as ControlAnswer
}

/** Of a status with thousands of workers, and of the lines of a stack. */
const ANSWER_BOUNDS = { depth: 10, values: 500_000, members: 100, beginnings: 1000, numerals: 1000 }

/** Parses a line and makes every string in it safe. Null: not JSON, or nested too deeply. */
function parse(sent: string): unknown {
  try {
    return parseWithin(sent, ANSWER_BOUNDS, (_name, value) => {
      return typeof value === 'string' ? printableParagraph(value) : value
    })
  } catch {
    return null
  }
}
