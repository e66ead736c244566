/**
 * The hooks of the INI: commands that run once, one after the other, at a point of the master's life. What must stay
 * true: every command has a deadline, and `close` ends all of them. A hook that fails is logged, with its last lines.
 */

import { EXIT, Failure } from '../../kit/ground/failure.js'
import { waitOn } from '../../kit/ground/running-clock.js'
import type { MasterContext } from '../child/master-context.js'
import { commandEnvironment } from '../child/spawn-environment.js'
import type { Settings } from '../config/values/settings.js'
import { type CommandEnd, type CommandEvent, type CommandOwner, ShellCommand } from './shell-command.js'

export type HookName = 'exec-asap' | 'exec-pre-app' | 'exec-post-app' | 'hook-accepting1' | 'exec-as-user-atexit'

/** A hook that failed. `lines`: its last lines on standard error. */
export class HookFailure extends Failure {
  readonly lines: string[]

  constructor(message: string, lines: string[]) {
    super('hook', message, EXIT.unavailable)
    this.lines = lines
  }
}

/** A run of one hook. `settings`: those of the hook's generation. */
export interface HookRun {
  name: HookName
  commands: readonly string[]
  settings: Settings
  timeoutMs: number
}

/** All hooks of a master. */
export class Hooks {
  readonly #context: MasterContext<CommandEvent>
  readonly #running = new Set<ShellCommand>()
  #isClosed = false

  constructor(context: MasterContext<CommandEvent>) {
    this.#context = context
  }

  get areIdle(): boolean {
    return this.#running.size === 0
  }

  /** Runs the commands in order. Rejects with a HookFailure at the first that fails. */
  async run({ name, commands, settings, timeoutMs }: HookRun): Promise<void> {
    for (const command of commands) {
      if (this.#isClosed) throw new HookFailure(`${name}: ${command}: the master stops`, [])
      await this.#runOne(name, command, settings, timeoutMs)
    }
  }

  /** Like `run`, but no caller waits: a failure is only logged, and `done` is called in any case. */
  start(run: HookRun, done: () => void = () => {}): void {
    this.run(run)
      .catch((error: unknown) => {
        if (!(error instanceof HookFailure)) throw error
      })
      .then(done)
  }

  /** Kills running hooks. No hook starts after this call. */
  close(): void {
    this.#isClosed = true
    for (const command of this.#running) command.signal('SIGKILL')
  }

  async #runOne(name: HookName, command: string, settings: Settings, timeoutMs: number): Promise<void> {
    const { log, nowMs } = this.#context
    const sinceMs = nowMs()
    let isLate = false
    const { end, lines, pid } = await this.#finished(name, command, settings, timeoutMs, () => {
      isLate = true
    })
    const why = isLate ? `not done within ${timeoutMs} ms` : whyFailed(end)
    log('hook-done', { name, pid, ranMs: Math.round(nowMs() - sinceMs), ...(why === null ? {} : { failed: why }) })
    if (why !== null) throw new HookFailure(`${name}: ${command}: ${why}`, lines)
  }

  async #finished(name: HookName, command: string, settings: Settings, timeoutMs: number, late: () => void) {
    const { put, environment, log, nowMs } = this.#context
    const spec = {
      name,
      command,
      cwd: settings.chdir ?? settings.startFolder,
      env: commandEnvironment(environment, settings),
      credentials: settings.credentials,
    }
    let ended: (end: CommandEnd) => void = () => {}
    const end = new Promise<CommandEnd>(resolve => {
      ended = resolve
    })
    const owner: CommandOwner = { ended }
    const onStart = (pid: number | null) => log('hook-start', { name, pid })
    const shell = new ShellCommand(spec, this.#context, end => put({ type: 'command-end', owner, end }), onStart)
    this.#running.add(shell)
    const callOff = waitOn(nowMs, timeoutMs, () => {
      late()
      shell.signal('SIGKILL')
    })
    const outcome = await end
    callOff()
    this.#running.delete(shell)
    put({ type: 'tick' })
    return { end: outcome, lines: shell.errorLines(), pid: shell.pid }
  }
}

function whyFailed({ code, signal, error }: CommandEnd): string | null {
  if (error !== null) return `it cannot be started: ${error}`
  if (signal !== null) return `it ended by ${signal}`
  return code === 0 ? null : `it ended with code ${code}`
}
