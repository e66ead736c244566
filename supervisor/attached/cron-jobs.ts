/**
 * The cron jobs of the INI: starts each when it is due, and ends those that run too long. The wall clock decides when a
 * run is due. It may be set, so it is checked once a minute, and when it was set (`clock-watch.ts`). As in cron(8), a
 * skipped run starts once, immediately, and a repeated time starts no second run. A step of more than three hours is a
 * correction: from then on the new time counts. The monotonic clock measures how long a run takes.
 */

import { isDeepStrictEqual } from 'node:util'
import type { CronSpec } from '../../kit/options/values/value-types.js'
import type { MasterContext } from '../child/master-context.js'
import type { Settings } from '../config/values/settings.js'
import { nextRun, nextRunOfRepeatedTime } from './cron-time.js'
import type { CommandPlace } from './daemon.js'
import { type CommandEnd, type CommandEvent, type CommandOwner, ShellCommand } from './shell-command.js'

interface Job {
  spec: CronSpec
  /** Epoch milliseconds; null: never. */
  nextMs: number | null
  /** When `nextMs` was computed. */
  foundMs: number
  /** When its last run was due to begin, by the monotonic clock; null: it has not run. */
  ranMs: number | null
}

const LOOK_MS = 60_000
const CORRECTION_MS = 3 * 3_600_000

/** All jobs and their runs. */
export class CronJobs {
  readonly #context: MasterContext<CommandEvent>
  readonly #place: CommandPlace
  readonly #wallMs: () => number
  readonly #runs = new Set<CronRun>()
  #jobs: Job[] = []
  #harakiriMs = 0

  constructor(context: MasterContext<CommandEvent>, place: CommandPlace, wallMs: () => number = Date.now) {
    this.#context = context
    this.#place = place
    this.#wallMs = wallMs
  }

  /** Takes these jobs in place of the former ones. Unchanged jobs keep their next time. */
  apply({ cron, cronHarakiriMs }: Pick<Settings, 'cron' | 'cronHarakiriMs'>): void {
    const before = this.#jobs
    this.#harakiriMs = cronHarakiriMs
    this.#jobs = cron.map(spec => before.find(job => isDeepStrictEqual(job.spec, spec)) ?? newJob(spec, this.#wallMs()))
  }

  get areGone(): boolean {
    return this.#runs.size === 0
  }

  /** Starts jobs that are due. Returns the time of the next check. */
  check(): number | null {
    const wallMs = this.#wallMs()
    const nowMs = this.#context.nowMs()
    const waits = [...this.#runs].map(run => run.check(nowMs))
    for (const job of this.#jobs) {
      if (wallMs < job.foundMs) planAgain(job, wallMs, nowMs)
      if (job.nextMs !== null && job.nextMs <= wallMs) this.#due(job, wallMs - job.nextMs, wallMs, nowMs)
      if (job.nextMs !== null) waits.push(nowMs + Math.min(LOOK_MS, job.nextMs - wallMs))
    }
    const times = waits.filter(wait => wait !== null)
    return times.length === 0 ? null : Math.min(...times)
  }

  /** No job starts any more. Running ones get SIGTERM, and SIGKILL after `mercyMs`. */
  stop(mercyMs: number): void {
    this.#jobs = []
    for (const run of this.#runs) run.stop('SIGTERM', 'stop', this.#context.nowMs() + mercyMs)
  }

  kill(): void {
    this.#jobs = []
    for (const run of this.#runs) run.stop('SIGKILL', 'kill', null)
  }

  #due(job: Job, lateMs: number, wallMs: number, nowMs: number): void {
    const { spec } = job
    job.nextMs = nextRun(spec.times, wallMs)
    job.foundMs = wallMs
    if (lateMs > CORRECTION_MS) return this.#context.log('cron-skipped', { name: spec.name, why: 'clock-stepped' })
    job.ranMs = nowMs
    this.#start(spec, nowMs)
  }

  #start(spec: CronSpec, nowMs: number): void {
    if (spec.isUnique && [...this.#runs].some(run => isDeepStrictEqual(run.spec, spec))) {
      return this.#context.log('cron-skipped', { name: spec.name, why: 'still-running' })
    }
    const harakiriMs = spec.harakiriMs ?? this.#harakiriMs
    const deadlineMs = harakiriMs === 0 ? null : nowMs + harakiriMs
    const run = new CronRun(spec, deadlineMs, this.#context, this.#place, () => this.#runs.delete(run))
    this.#runs.add(run)
  }
}

function newJob(spec: CronSpec, wallMs: number): Job {
  return { spec, nextMs: nextRun(spec.times, wallMs), foundMs: wallMs, ranMs: null }
}

/** Plans a job again after the clock was set back to before the time of the last plan. */
function planAgain(job: Job, wallMs: number, nowMs: number): void {
  const { times } = job.spec
  const isCorrection = job.foundMs - wallMs > CORRECTION_MS
  job.nextMs =
    isCorrection || job.ranMs === null
      ? nextRun(times, wallMs)
      : nextRunOfRepeatedTime(times, wallMs, nowMs - job.ranMs)
  job.foundMs = wallMs
}

/** One run of one job. */
class CronRun implements CommandOwner {
  readonly spec: CronSpec
  readonly #context: MasterContext<CommandEvent>
  readonly #command: ShellCommand
  readonly #onEnd: () => void
  readonly #sinceMs: number
  #deadlineMs: number | null
  #why = 'by-itself'

  constructor(
    spec: CronSpec,
    deadlineMs: number | null,
    context: MasterContext<CommandEvent>,
    place: CommandPlace,
    over: () => void,
  ) {
    this.spec = spec
    this.#context = context
    this.#deadlineMs = deadlineMs
    this.#onEnd = over
    this.#sinceMs = context.nowMs()
    const { name, command } = spec
    const onEnd = (end: CommandEnd) => context.put({ type: 'command-end', owner: this, end })
    const onStart = (pid: number | null) => context.log('cron-start', { name, pid })
    this.#command = new ShellCommand({ name, command, ...place() }, context, onEnd, onStart)
  }

  /** Kills the run after its deadline; returns the deadline. */
  check(nowMs: number): number | null {
    if (this.#deadlineMs !== null && nowMs >= this.#deadlineMs) {
      this.stop('SIGKILL', this.#why === 'by-itself' ? 'cron-harakiri' : this.#why, null)
    }
    return this.#deadlineMs
  }

  stop(signal: 'SIGTERM' | 'SIGKILL', why: string, deadlineMs: number | null): void {
    this.#why = why
    this.#deadlineMs = deadlineMs
    this.#command.signal(signal)
  }

  ended({ code, signal, error }: CommandEnd): void {
    const ranMs = Math.round(this.#context.nowMs() - this.#sinceMs)
    const { name } = this.spec
    this.#context.log('cron-exit', {
      name,
      pid: this.#command.pid,
      code: code ?? undefined,
      signal: signal ?? undefined,
      ranMs,
      why: error ?? this.#why,
    })
    this.#onEnd()
  }
}
