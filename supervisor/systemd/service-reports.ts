/**
 * What systemd hears, and when: each change of the tree at once, a status line when it says something new, the
 * watchdog's food, and more time while the start, a reload or the stop goes on. `notify.ts` delivers. Must stay true:
 * the watchdog is fed only by a turn of the master's loop in which a worker has answered lately; time is asked for from
 * beat to beat, so a master that hangs gets none.
 */

import type { Log } from '../../kit/log/log.js'
import type { StatusReport } from '../control/control-protocol.js'
import { describeReadiness, readiness } from '../control/readiness.js'
import type { Notifier } from './notify.js'

/** Where the reports come from and go to. */
export interface ServiceDeps {
  notifier: Notifier
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
  environment: Record<string, string | undefined>
  report(): StatusReport
  /** How many ready workers answered within so many milliseconds. */
  answering(withinMs: number): number
  nowMs?(): number
}

/** One beat a second: a status is at most so old, and each costs a process only when it is sent. */
const BEAT_MS = 1000
/** What goes on asks every so often for so much more time: two messages may get lost. */
const EXTEND_EVERY_MS = 5000
const EXTEND_MS = 20_000
/** Proxies ask each worker at least once a second and tell the master once a second. */
const ANSWER_MS = 5000
/** How long workers go on telling of a lag that was everybody's. */
const EXCUSED_FOR_MS = 3000

/**
 * How long the unit may go without food (sd_watchdog_enabled(3)); null: it has no watchdog, or it is another process's.
 */
export function watchdogMs(environment: Record<string, string | undefined>, pid: number): number | null {
  const { WATCHDOG_USEC: time = '', WATCHDOG_PID: owner } = environment
  if (!/^\d{1,15}$/.test(time) || Number(time) === 0) return null
  return owner === undefined || owner === String(pid) ? Number(time) / 1000 : null
}

/** The status line: `generation 3: 4 of 4 workers ready, 1 proxy, http://127.0.0.1:8080`. Pure. */
export function serviceStatus(report: StatusReport): string {
  const { generation, workers, wanted, proxies, urls } = report
  const listening = proxies.filter(({ phase }) => phase === 'listening').length
  const doing = report.stopping ? 'stopping, ' : report.reloading ? 'reloading, ' : ''
  const parts = [
    describeReadiness(readiness(workers), wanted),
    `${listening} ${listening === 1 ? 'proxy' : 'proxies'}`,
    ...urls,
  ]
  return `${doing}generation ${generation}: ${parts.join(', ')}`
}

/**
 * Whether clients are served as far as anybody can tell: a worker answers; where none is meant to run, or to answer
 * yet, a proxy listens. Pure.
 */
export function isAlive({ workers, proxies }: StatusReport, answering: number): boolean {
  return workers.every(({ phase }) => phase === 'waiting')
    ? proxies.some(({ phase }) => phase === 'listening')
    : answering > 0
}

/** One for the life of the master. */
export class ServiceReports {
  readonly #deps: ServiceDeps
  readonly #nowMs: () => number
  readonly #watchdogMs: number | null
  #isReady = false
  #lastText = ''
  #lastFailure = ''
  #fedMs = Number.NEGATIVE_INFINITY
  #extendedMs = Number.NEGATIVE_INFINITY
  /** All stood still for so long, not long ago. */
  #excused = { lagMs: 0, untilMs: 0 }

  constructor(deps: ServiceDeps) {
    this.#deps = deps
    this.#nowMs = deps.nowMs ?? (() => performance.now())
    this.#watchdogMs = watchdogMs(deps.environment, process.pid)
  }

  /** Begins to beat, where systemd listens; the result ends it. */
  start(): () => void {
    if (!this.#deps.environment.NOTIFY_SOCKET) return () => {}
    const timer = setInterval(() => this.beat(), Math.min(BEAT_MS, (this.#watchdogMs ?? BEAT_MS) / 4))
    return () => clearInterval(timer)
  }

  /** Clients are answered now. */
  ready(): void {
    this.#isReady = true
    this.#lastText = this.#text()
    this.#deps.notifier.ready(this.#lastText)
  }

  /** The log, and systemd hears of those events that are its business. */
  hearing(log: Log): Log {
    return (event, fields) => {
      log(event, fields)
      const { notifier } = this.#deps
      if (event === 'reload-start') this.#begin(() => notifier.reloading())
      else if (event === 'reload-done') this.#reloaded('')
      else if (event === 'reload-failed') this.#reloaded(`; the last reload failed: ${fields?.why}`)
      else if (event === 'master-stopping') this.#begin(() => notifier.stopping())
      else if (event === 'stood-still') this.#excuse(Number(fields?.stillMs))
    }
  }

  /** What there is to say at this moment. */
  beat(): void {
    const nowMs = this.#nowMs()
    const report = this.#deps.report()
    const isBusy = !this.#isReady || report.reloading || report.stopping
    if (isBusy && nowMs - this.#extendedMs >= EXTEND_EVERY_MS) this.#extend(nowMs)
    this.#feed(report, nowMs)
    const text = this.#text(report)
    if (text === this.#lastText) return
    this.#lastText = text
    this.#deps.notifier.status(text)
  }

  /** The report does not know of it yet, and the unit's own timeout may be shorter than a beat. */
  #begin(tell: () => void): void {
    tell()
    this.#extend(this.#nowMs())
  }

  #extend(nowMs: number): void {
    this.#extendedMs = nowMs
    this.#deps.notifier.extend(EXTEND_MS)
  }

  #excuse(lagMs: number): void {
    this.#excused = { lagMs, untilMs: this.#nowMs() + EXCUSED_FOR_MS }
  }

  #reloaded(failure: string): void {
    this.#lastFailure = failure
    this.ready()
  }

  /** Three times in each period: one message may be late. */
  #feed(report: StatusReport, nowMs: number): void {
    if (this.#watchdogMs === null || nowMs - this.#fedMs < this.#watchdogMs / 3) return
    const excusedMs = nowMs < this.#excused.untilMs ? this.#excused.lagMs : 0
    if (!isAlive(report, this.#deps.answering(Math.min(ANSWER_MS, this.#watchdogMs) + excusedMs))) return
    this.#fedMs = nowMs
    this.#deps.notifier.watchdog()
  }

  #text(report = this.#deps.report()): string {
    return serviceStatus(report) + this.#lastFailure
  }
}
