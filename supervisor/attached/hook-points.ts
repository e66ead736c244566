/**
 * The points in the master's life at which hooks of the INI run. `hooks.ts` runs their commands.
 *
 * What must stay true: `exec-pre-app` and `exec-post-app` run once for a generation, `exec-as-user-atexit` once for a
 * master. Workers trigger `hook-accepting1`; only one run of it is under way at a time.
 */

import type { MasterContext } from '../child/master-context.js'
import type { Settings } from '../config/values/settings.js'
import { type HookName, Hooks } from './hooks.js'
import type { CommandEvent } from './shell-command.js'
import { startConditions } from './start-conditions.js'
import { atExitMs } from './stop-time.js'

/** All points of one master. */
export class HookPoints {
  readonly #context: MasterContext<CommandEvent>
  readonly #hooks: Hooks
  readonly #starting = new AbortController()
  #servedNumber = 0
  /** `again`: the settings of a worker that became ready while the hook ran for an earlier one. */
  #accepting: { again: Settings | null } | null = null
  #exit: 'not-yet' | 'running' | 'done' = 'not-yet'

  constructor(context: MasterContext<CommandEvent>) {
    this.#context = context
    this.#hooks = new Hooks(context)
  }

  /** Runs before anything is opened. Failures: `start-condition` and `hook` (69). */
  async beforeListening(settings: Settings): Promise<void> {
    await startConditions(settings, settings.credentials, this.#context.log, this.#starting.signal)
    await this.#run('exec-asap', settings.execAsap, settings)
  }

  /** Runs before the first worker of a generation. Failure: `hook` (69). */
  async beforeApplication(settings: Settings): Promise<void> {
    if (settings.app !== null) await this.#run('exec-pre-app', settings.execPreApp, settings)
  }

  /** The first worker of this generation serves. */
  served({ number, settings }: { number: number; settings: Settings }): void {
    if (number <= this.#servedNumber) return
    this.#servedNumber = number
    this.#start('exec-post-app', settings.execPostApp, settings)
  }

  /** A worker of slot 1 has become ready. If several become ready during one run, one more run follows. */
  accepting(settings: Settings): void {
    if (this.#accepting !== null) {
      this.#accepting.again = settings
      return
    }
    this.#accepting = { again: null }
    this.#start('hook-accepting1', settings.hookAccepting1, settings, () => {
      const again = this.#accepting?.again ?? null
      this.#accepting = null
      if (again !== null && !this.#starting.signal.aborted) this.accepting(again)
    })
  }

  /** All workers are gone. The first call starts the last hook. True: it is done. */
  atExit(settings: Settings): boolean {
    if (this.#exit === 'not-yet') {
      this.#exit = 'running'
      const commands = settings.execAsUserAtexit
      const timeoutMs = atExitMs(settings)
      const done = () => {
        this.#exit = 'done'
        this.#context.put({ type: 'tick' })
      }
      if (commands.length === 0) this.#exit = 'done'
      else this.#hooks.start({ name: 'exec-as-user-atexit', commands, settings, timeoutMs }, done)
    }
    return this.#exit === 'done'
  }

  /** Kills running hooks. True: none runs. */
  close(): boolean {
    this.#starting.abort()
    this.#hooks.close()
    return this.#hooks.areIdle
  }

  #run(name: HookName, commands: readonly string[], settings: Settings): Promise<void> {
    return this.#hooks.run({ name, commands, settings, timeoutMs: settings.execTimeoutMs })
  }

  #start(name: HookName, commands: readonly string[], settings: Settings, done?: () => void): void {
    this.#hooks.start({ name, commands, settings, timeoutMs: settings.execTimeoutMs }, done)
  }
}
