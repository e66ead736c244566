/**
 * Priorities for the journal of systemd: a service whose output leads there puts `<n>` in front of a line (sd-daemon(3)), and journald takes it off.
 * Must stay true: nothing that an application prints is more urgent than an error. journald writes an emergency, 0, on every terminal of the host.
 */

import { fstatSync } from 'node:fs'
import { createLog, type EventFields, type Log } from '../kit/log.js'

/** syslog(3): the smaller, the more urgent. */
export const PRIORITY = { error: 3, warning: 4, info: 6 } as const

/** journald breaks a line of 48 KB (LineMax=) and looks for a priority at the break, too. */
const LONGEST_LINE_BYTES = 48_000

/** Whether a descriptor is the stream to the journal that systemd gave this service (JOURNAL_STREAM of systemd.exec(5)). */
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

/** A log of events for the journal: as `createLog`, with the priority of each event. */
export function journalLog(write: (line: string) => void): Log {
  return (event, fields) => {
    createLog(line => write(`<${priorityOf(event, fields)}>${line}`))(event, fields)
  }
}

/** Each line of the text with a priority. */
export function withPriority(text: string, priority: number): string {
  return text.replace(/^(?=.)/gm, `<${priority}>`)
}

/** Something that was to happen has not, or a process ended that nobody had asked to. */
const ERRORS =
  /^(reload-failed-line|release-gone|run-folder-lost|worker-not-started|worker-harakiri|proxy-killed|.*-failed)$/

/** It goes on, and somebody should look. */
const WARNINGS =
  /^(restart-needed|start-waits|stood-still|clock-stepped|worker-(killed|memory-high|not-ready)|log-(not-rotated|folder-crowded)|master-killing|upstream-out|accept-paused|autopsy-not-removed|bad-answer|request-harakiri|not-listening|site-(doubtful|late)|fifo-doubtful|proxy-woken|worker-(left-processes|processes-(killed|stay))|.*-(trouble|refused|ignored|skipped|quarantined|error|talks-too-much|broke-(link|channel)))$/

/** Ends of workers and proxies, by their `why`, that are no part of the order of things. */
const UNASKED = new Set([
  'died',
  'out-of-memory',
  'harakiri',
  'start-deadline',
  'link-deadline',
  'link-broken',
  'silent',
])

/** How urgent an event of daimyo's own life is. Pure. */
export function priorityOf(event: string, fields: EventFields = {}): number {
  const { why, code, signal, failed } = fields
  if (/^(worker|proxy)-exit$/.test(event)) return UNASKED.has(String(why)) ? PRIORITY.error : PRIORITY.info
  if (/^(daemon|cron)-exit$/.test(event)) {
    return signal !== undefined || (code ?? 0) !== 0 ? PRIORITY.warning : PRIORITY.info
  }
  if (event === 'hook-done') return failed === undefined ? PRIORITY.info : PRIORITY.error
  if (ERRORS.test(event)) return PRIORITY.error
  return WARNINGS.test(event) ? PRIORITY.warning : PRIORITY.info
}

/** What journald would take for a priority. */
const OWN_PRIORITY = /^<0{0,2}([0-7])>/

/**
 * Marks the lines of one stream of a child. A line with a priority of its own keeps it, from error on; the lines behind it that are indented, as those of a stack, have the
 * same.
 */
export class LinePriorities {
  readonly #usual: number
  #last: number

  /** `usual`: of lines that do not say. */
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
    return rest.replace(new RegExp(`[^\\n]{1,${LONGEST_LINE_BYTES}}\\n?`, 'g'), piece => {
      return `${start}${piece.endsWith('\n') ? piece : `${piece}\n`}`
    })
  }
}
