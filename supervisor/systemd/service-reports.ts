/**
 * Decides which messages systemd gets, and when: each change of the tree at once, a changed status line, messages for
 * the watchdog, and requests for more time while a start, a reload or the stop is under way. `notify.ts` sends them.
 * Must stay true: the watchdog gets a message only in a turn of the master's loop in which a worker has responded
 * lately. Time is requested from beat to beat, so a master that hangs gets none.
 */

import type { Log } from '../../kit/log/log.js'
import type { StatusReport } from '../control/control-protocol.js'
import { describeReadiness, readiness } from '../control/readiness.js'
import type { Notifier } from './notify.js'

/** Sources and destination of the reports. */
export interface ServiceDeps {
  notifier: Notifier
  /** For NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
  environment: Record<string, string | undefined>
  report(): StatusReport
  /** How many ready workers responded within `withinMs`. */
  answering(withinMs: number): number
  nowMs?(): number
}

/** One beat a second: the age of a status. A status costs a process only when it is sent. */
const BEAT_MS = 1000
/** Work under way asks this often for more time; two messages may get lost. */
const EXTEND_EVERY_MS = 5000
const EXTEND_MS = 20_000
/** Proxies ask each worker at least once a second and tell the master once a second. */
const ANSWER_MS = 5000
/** After a standstill of all processes, workers report its lag for this long. */
const EXCUSED_FOR_MS = 3000

/**
 * How long the unit may go without a message to its watchdog (sd_watchdog_enabled(3)); null: it has no watchdog, or the
 * watchdog belongs to another process.
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
 * Whether clients are served, as far as the master can tell: a worker responds; or, if none is meant to run or to
 * respond yet, a proxy listens. Pure.
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
  /** All processes stood still for this long, not long ago. */
  #excused = { lagMs: 0, untilMs: 0 }

  constructor(deps: ServiceDeps) {
    this.#deps = deps
    this.#nowMs = deps.nowMs ?? (() => performance.now())
    this.#watchdogMs = watchdogMs(deps.environment, process.pid)
  }

  /** Begins to beat if systemd listens. Returns a function that ends it. */
  start(): () => void {
    if (!this.#deps.environment.NOTIFY_SOCKET) return () => {}
    const timer = setInterval(() => this.beat(), Math.min(BEAT_MS, (this.#watchdogMs ?? BEAT_MS) / 4))
    return () => clearInterval(timer)
  }

  /** Clients get responses now. */
  ready(): void {
    this.#isReady = true
    this.#lastText = this.#text()
    this.#deps.notifier.ready(this.#lastText)
  }

  /** The same log; systemd is told of the events that concern it. */
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

  /** Sends what is new at this moment. */
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
