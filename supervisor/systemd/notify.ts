/**
 * Reports the state of the master to systemd (sd_notify(3)), through the `systemd-notify` program: Node has no unix
 * datagram sockets. Each change is sent; without NOTIFY_SOCKET in the environment nothing is sent. Must stay true: it
 * never blocks the loop, and its failure never fails the program; messages arrive in their order; the queue is bounded
 * (a newer message of the same kind replaces one that still waits).
 */

import type { ChildProcess } from 'node:child_process'
import { reasonOf } from '../../kit/ground/failure.js'
import { SYSTEM_PATH } from '../../kit/ground/system-path.js'
import type { Log } from '../../kit/log/log.js'
import { isMastersSignal } from '../../kit/process/masters-signals.js'
import { spawnOwn } from '../user/own-children.js'

/** All methods return at once. `settled` resolves when nothing waits any more; for the end of the process. */
export interface Notifier {
  ready(status: string): void
  reloading(): void
  stopping(): void
  status(text: string): void
  /** Feeds the unit's watchdog. */
  watchdog(): void
  /** The start, reload or stop under way may take `ms` longer, from now on. */
  extend(ms: number): void
  settled(): Promise<void>
}

/** What the notifier needs: `program` and `deadlineMs` (of one call) are given by tests only. */
export interface NotifierOptions {
  environment: Record<string, string | undefined>
  log: Log
  program?: string
  deadlineMs?: number
}

type Kind = 'ready' | 'reloading' | 'stopping' | 'status' | 'watchdog' | 'extend'

/** A notifier for the socket that the environment names. */
export function createNotifier(options: NotifierOptions): Notifier {
  const queue = new NotifyQueue(options)
  // systemd-notify is another process than the unit's main one, so MAINPID goes along and the unit says
  // NotifyAccess=all.
  const mainPid = `MAINPID=${process.pid}`
  return {
    ready: status => queue.add('ready', ['READY=1', mainPid, statusLine(status)]),
    // Correct for both: `Type=notify` (systemd 252) ignores the time, `Type=notify-reload` (253) waits for one that
    // is later than its signal.
    reloading: () => queue.add('reloading', ['RELOADING=1', monotonicTime(), statusLine('reloading')]),
    stopping: () => queue.add('stopping', ['STOPPING=1', statusLine('stopping')]),
    status: text => queue.add('status', [statusLine(text)]),
    watchdog: () => queue.add('watchdog', ['WATCHDOG=1']),
    extend: ms => queue.add('extend', [`EXTEND_TIMEOUT_USEC=${Math.round(ms) * 1000}`]),
    settled: () => queue.settled(),
  }
}

/**
 * CLOCK_MONOTONIC in microseconds, which `Type=notify-reload` compares with its own (sd_notify(3)); uv_hrtime reads the
 * same clock.
 */
function monotonicTime(): string {
  return `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`
}

/** On one line: a line end would begin another assignment. */
function statusLine(text: string): string {
  return `STATUS=${text.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, 500)}`
}

class NotifyQueue {
  readonly #options: NotifierOptions
  readonly #waiting = new Map<Kind, string[]>()
  readonly #settled: (() => void)[] = []
  #isBusy = false
  #hasFailed = false

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  add(kind: Kind, assignments: string[]): void {
    if (!this.#options.environment.NOTIFY_SOCKET) return
    // Deleted first: a Map keeps the place of a key, and the newest message must arrive last.
    this.#waiting.delete(kind)
    this.#waiting.set(kind, assignments)
    this.#sendNext()
  }

  settled(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve()
    return new Promise(resolve => this.#settled.push(resolve))
  }

  #sendNext(): void {
    if (this.#isBusy) return
    const next = this.#waiting.entries().next()
    if (next.done) {
      for (const resolve of this.#settled.splice(0)) resolve()
      return
    }
    const [kind, assignments] = next.value
    this.#waiting.delete(kind)
    this.#isBusy = true
    const onEnd = (failure: string | null) => {
      this.#isBusy = false
      if (failure !== null) this.#report(failure)
      this.#sendNext()
    }
    this.#send(assignments, (failure, signal) => {
      // A signal for all processes of the unit (`systemctl kill`) has ended systemd-notify: the message is sent once
      // more.
      if (isMastersSignal(signal)) this.#send(assignments, onEnd)
      else onEnd(failure)
    })
  }

  #send(assignments: string[], onEnd: (failure: string | null, signal: string | null) => void): void {
    const { environment, program = 'systemd-notify', deadlineMs = 5000 } = this.#options
    const env = { PATH: SYSTEM_PATH, NOTIFY_SOCKET: environment.NOTIFY_SOCKET }
    let child: ChildProcess
    try {
      child = spawnOwn(program, assignments, { env, stdio: 'ignore' })
    } catch (error) {
      // ENOMEM, E2BIG: spawn throws errors that it does not report as an event.
      return onEnd(reasonOf(error), null)
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    // A program that is missing gives `error` and no `exit`; one that could not be killed gives both: the first one
    // counts.
    let isOver = false
    const end = (failure: string | null, signal: string | null) => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      onEnd(failure, signal)
    }
    child.on('error', error => end(error.message, null))
    child.once('exit', (code, signal) => end(code === 0 ? null : `exit code=${code} signal=${signal}`, signal))
  }

  #report(why: string): void {
    if (!this.#hasFailed) this.#options.log('notify-failed', { why })
    this.#hasFailed = true
  }
}
