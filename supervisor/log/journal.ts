/**
 * Priorities for the journal of systemd: a service whose output leads there puts `<n>` in front of a line
 * (sd-daemon(3)), and journald takes it off. Must stay true: no line of an application is more urgent than an error.
 * journald writes an emergency, 0, on every terminal of the host.
 */

import { fstatSync } from 'node:fs'
import { createLog, type EventFields, type Log } from '../../kit/log/log.js'

/** syslog(3): the smaller, the more urgent. */
export const PRIORITY = { error: 3, warning: 4, info: 6 } as const

/** journald breaks a line of 48 KB (LineMax=), and looks for a priority at the break too. */
const LONGEST_LINE_BYTES = 48_000
/** The same for text: in UTF-8 a character has up to three bytes, a pair of surrogates four. */
const LONGEST_LINE_CHARACTERS = LONGEST_LINE_BYTES / 3

/**
 * Whether a descriptor is the stream to the journal that systemd gave this service (JOURNAL_STREAM of systemd.exec(5)).
 */
export function leadsToJournal({ JOURNAL_STREAM: stream }: NodeJS.ProcessEnv, descriptor: number): boolean {
  if (stream === undefined) return false
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true })
    return stream === `${dev}:${ino}`
  } catch {
    // EBADF: it is closed.
    return false
  }
}

/** A log of events for the journal: as `createLog`, with the priority of each event, and in pieces where it is long. */
export function journalLog(write: (line: string) => void): Log {
  return (event, fields) => {
    createLog(line => write(withPriority(line, priorityOf(event, fields))))(event, fields)
  }
}

const PIECE = new RegExp(`[^\\n]{1,${LONGEST_LINE_CHARACTERS}}`, 'g')

/**
 * In front of the rest of a line that was broken: without it, whoever wrote the line could choose what the rest looks
 * like, such as an event of the master.
 */
export const CONTINUED = '  '

/** Each line of the text with a priority; a long one becomes several. */
export function withPriority(text: string, priority: number): string {
  return text.replace(PIECE, (piece, at: number) => {
    const isBehindAnother = at > 0 && text[at - 1] !== '\n'
    return isBehindAnother ? `\n<${priority}>${CONTINUED}${piece}` : `<${priority}>${piece}`
  })
}

/** The priority of each event, except those in BY_FIELDS. */
const EVENTS = {
  /** Something expected has not happened, or a process ended without an order. */
  error: [
    'autopsy-failed',
    'child-unkillable',
    'metrics-failed',
    'notify-failed',
    'proxy-failed',
    'proxy-killed',
    'proxy-unkillable',
    'release-gone',
    'reload-failed',
    'reload-failed-line',
    'run-folder-lost',
    'worker-harakiri',
    'worker-load-failed',
    'worker-not-started',
    'worker-processes-stay',
    'worker-unkillable',
  ],
  /** The service goes on, but the operator should look. */
  warning: [
    'accept-paused',
    'accept-trouble',
    'access-log-trouble',
    'affinity-trouble',
    'autopsy-not-removed',
    'autopsy-refused',
    'bad-answer',
    'clock-stepped',
    'control-socket-restored',
    'cron-skipped',
    'fifo-doubtful',
    'fifo-refused',
    'fifo-trouble',
    'log-folder-crowded',
    'log-not-rotated',
    'master-killing',
    'metrics-listener-error',
    'metrics-trouble',
    'named-file-refused',
    'not-listening',
    'proxy-broke-channel',
    'proxy-talks-too-much',
    'proxy-woken',
    'reload-ignored',
    'request-harakiri',
    'request-quarantined',
    'restart-needed',
    'run-folder-restored',
    'signal-ignored',
    'site-doubtful',
    'site-late',
    'slot-held-back',
    'socket-not-removed',
    'start-waits',
    'stood-still',
    'strange-children-killed',
    'strange-children-unwatched',
    'tracer-killed',
    'upstream-out',
    'watch-blind',
    'watchdog-trouble',
    'worker-broke-channel',
    'worker-broke-link',
    'worker-killed',
    'worker-memory-high',
    'worker-not-ready',
    'worker-processes-killed',
    'worker-talks-too-much',
  ],
  info: [
    'accept-resumed',
    'autopsy-written',
    'cron-start',
    'daemon-reload',
    'daemon-start',
    'hook-start',
    'logs-reopened',
    'master-ready',
    'master-stopped',
    'master-stopping',
    'memory-report',
    'proxy-draining',
    'proxy-listening',
    'proxy-start',
    'reload-done',
    'reload-soaking',
    'reload-start',
    'status',
    'touched',
    'upstream-back',
    'worker-lingering',
    'worker-loading',
    'worker-ready',
    'worker-retiring',
    'worker-start',
    'worker-status',
    'worker-stopping',
    'worker-waiting',
    'workers-wanted',
  ],
} as const

const PRIORITIES = new Map<string, number>(
  Object.entries(EVENTS).flatMap(([name, events]) =>
    events.map(event => [event, PRIORITY[name as keyof typeof EVENTS]] as const),
  ),
)

/** Ends of workers and proxies, by their `why`, that nobody ordered. */
const UNASKED = new Set([
  'died',
  'out-of-memory',
  'harakiri',
  'start-deadline',
  'link-deadline',
  'link-broken',
  'ipc-closed',
  'silent',
])

type Judge = (fields: EventFields) => number

const judgeEnd: Judge = ({ why }) => (UNASKED.has(String(why)) ? PRIORITY.error : PRIORITY.info)
const judgeCommand: Judge = ({ code, signal }) =>
  signal !== undefined || (code ?? 0) !== 0 ? PRIORITY.warning : PRIORITY.info

const BY_FIELDS = new Map<string, Judge>([
  ['worker-exit', judgeEnd],
  ['proxy-exit', judgeEnd],
  ['daemon-exit', judgeCommand],
  ['cron-exit', judgeCommand],
  ['hook-done', ({ failed }) => (failed === undefined ? PRIORITY.info : PRIORITY.error)],
  // The operator has asked for the processes that were kept.
  ['worker-left-processes', ({ why }) => (why === 'kept' ? PRIORITY.info : PRIORITY.warning)],
])

/** Events with a priority: a test asks for each event that the sources name. */
export function decidedEvents(): Set<string> {
  return new Set([...PRIORITIES.keys(), ...BY_FIELDS.keys()])
}

/** The priority of an event of daimyo's own life. Pure. */
export function priorityOf(event: string, fields: EventFields = {}): number {
  return BY_FIELDS.get(event)?.(fields) ?? PRIORITIES.get(event) ?? PRIORITY.info
}

/** A prefix that journald reads as a priority. */
const OWN_PRIORITY = /^<0{0,2}([0-7])>/

/**
 * Marks the lines of one stream of a child. A line with a priority of its own keeps it, from error on; the indented
 * lines behind it, as those of a stack, get the same.
 */
export class LinePriorities {
  readonly #usual: number
  #last: number

  /** `usual`: the priority of lines without one. */
  constructor(usual: number) {
    this.#usual = usual
    this.#last = usual
  }

  /** Whole lines, each with its newline, get their priority, and `name` behind it. */
  mark(lines: Buffer, name: string): Buffer {
    const prefix = Buffer.from(name).toString('latin1')
    // A line ends at NUL too for journald, which then looks for a priority behind it.
    const text = lines
      .toString('latin1')
      .replaceAll('\0', '\n')
      .replace(/[^\n]*\n/g, line => this.#mark(line, prefix))
    return Buffer.from(text, 'latin1')
  }

  #mark(line: string, prefix: string): string {
    const [own = '', digit] = OWN_PRIORITY.exec(line) ?? []
    if (digit !== undefined) this.#last = Math.max(Number(digit), PRIORITY.error)
    else if (!/^[ \t]/.test(line)) this.#last = this.#usual
    const start = `<${this.#last}>${prefix}`
    const rest = line.slice(own.length)
    if (rest.length <= LONGEST_LINE_BYTES) return start + rest
    return rest.replace(new RegExp(`[^\\n]{1,${LONGEST_LINE_BYTES}}\\n?`, 'g'), (piece, at: number) => {
      return `${start}${at > 0 ? CONTINUED : ''}${piece.endsWith('\n') ? piece : `${piece}\n`}`
    })
  }
}
