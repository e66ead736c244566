/**
 * Daemons and cron jobs, which run beside the workers as long as the master does, and their end. What must stay true:
 * each daemon runs at most once, across reloads too. When `end` returns true, no attached process is left.
 */

import { isDeepStrictEqual } from 'node:util'
import type { MasterContext } from '../child/master-context.js'
import { commandEnvironment } from '../child/spawn-environment.js'
import type { Settings } from '../config/values/settings.js'
import { CronJobs } from './cron-jobs.js'
import { Daemon } from './daemon.js'
import type { CommandEvent } from './shell-command.js'

/** All attached processes of a master. */
export class AttachedProcesses {
  readonly #context: MasterContext<CommandEvent>
  readonly #crons: CronJobs
  #settings: Settings
  #daemons: Daemon[] = []
  #isEnding = false
  /** Daemons that a reload removed or replaced. Their successors wait for their end. */
  #leaving: Daemon[] = []

  constructor(settings: Settings, context: MasterContext<CommandEvent>) {
    this.#context = context
    this.#settings = settings
    this.#crons = new CronJobs(context, this.#place)
    this.#take(settings)
  }

  /** These settings are in force now: a reload succeeded, or was rolled back. */
  apply(settings: Settings): void {
    const kept = this.#take(settings)
    for (const daemon of kept) daemon.reloaded()
  }

  /** Starts and ends what is due. Returns the times of the next check. */
  check(): (number | null)[] {
    this.#leaving = this.#leaving.filter(({ isGone }) => !isGone)
    const waits = [this.#crons.check(), ...this.#leaving.map(daemon => daemon.check())]
    // A daemon with a changed line may need the port of its predecessor.
    if (this.#leaving.length === 0) waits.push(...this.#daemons.map(daemon => daemon.check()))
    return waits
  }

  /** Ends all attached processes from its first call on, by SIGKILL after `mercyMs`. True: nothing is left. */
  end(mercyMs: number): boolean {
    if (!this.#isEnding) this.#stop(mercyMs)
    this.#isEnding = true
    return this.#daemons.length === 0 && this.#leaving.every(({ isGone }) => isGone) && this.#crons.areGone
  }

  #stop(mercyMs: number): void {
    this.#leaving.push(...this.#daemons)
    this.#daemons = []
    for (const daemon of this.#leaving) daemon.stop(mercyMs)
    this.#crons.stop(mercyMs)
  }

  kill(): void {
    this.#isEnding = true
    this.#leaving.push(...this.#daemons)
    this.#daemons = []
    for (const daemon of this.#leaving) daemon.kill()
    this.#crons.kill()
  }

  /** Returns the daemons that stay. */
  #take(settings: Settings): Daemon[] {
    const before = this.#daemons
    this.#settings = settings
    this.#crons.apply(settings)
    const kept: Daemon[] = []
    this.#daemons = settings.attachDaemon.map(spec => {
      const same = before.find(daemon => !kept.includes(daemon) && isDeepStrictEqual(daemon.spec, spec))
      if (same === undefined) return new Daemon(spec, this.#context, this.#place)
      kept.push(same)
      return same
    })
    for (const daemon of before) {
      if (kept.includes(daemon)) continue
      daemon.stop(settings.reloadMercyMs)
      this.#leaving.push(daemon)
    }
    return kept
  }

  #place = () => {
    const { chdir, startFolder, credentials } = this.#settings
    const env = commandEnvironment(this.#context.environment, this.#settings)
    return { cwd: chdir ?? startFolder, env, credentials }
  }
}
