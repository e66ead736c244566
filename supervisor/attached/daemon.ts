/**
 * One attached daemon: keeps one run of its command alive until it is stopped. Executes what `daemon-phase.ts` decides.
 */

import type { DaemonSpec } from '../../kit/options/values/value-types.js'
import type { MasterContext } from '../child/master-context.js'
import { type DaemonEvent, type DaemonLife, newDaemonLife, stepDaemon } from './daemon-phase.js'
import {
  type CommandEnd,
  type CommandEvent,
  type CommandOwner,
  type CommandSpec,
  ShellCommand,
} from './shell-command.js'

/** Everything of a command but its name and text: from the settings in force when it is started. */
export type CommandPlace = () => Omit<CommandSpec, 'name' | 'command'>

/** One line of the INI; stays the same object as long as that line does. */
export class Daemon implements CommandOwner {
  readonly spec: DaemonSpec
  readonly #context: MasterContext<CommandEvent>
  readonly #place: CommandPlace
  #life: DaemonLife
  #run: ShellCommand | null = null
  #mercyMs = 0

  constructor(spec: DaemonSpec, context: MasterContext<CommandEvent>, place: CommandPlace) {
    this.spec = spec
    this.#context = context
    this.#place = place
    this.#life = newDaemonLife(context.nowMs())
  }

  get isGone(): boolean {
    return this.#life.phase === 'gone'
  }

  /** Does what is due; returns when to look again. */
  check(): number | null {
    this.#apply('tick')
    return this.#life.deadlineMs
  }

  /** At a reload that did not change it. */
  reloaded(): void {
    const { reloadSignal, name } = this.spec
    if (reloadSignal === null || this.#life.phase !== 'running') return
    this.#context.log('daemon-reload', { name, pid: this.#run?.pid, signal: reloadSignal })
    this.#run?.signal(reloadSignal)
  }

  /** Ends it for good; SIGKILL after `mercyMs`. */
  stop(mercyMs: number): void {
    this.#mercyMs = mercyMs
    this.#apply('stop')
  }

  kill(): void {
    this.#apply('kill')
  }

  ended({ code, signal, error }: CommandEnd): void {
    const { name } = this.spec
    const wasAsked = this.#life.phase !== 'running'
    this.#context.log('daemon-exit', {
      name,
      pid: this.#run?.pid,
      code: code ?? undefined,
      signal: signal ?? undefined,
      why: error ?? (wasAsked ? 'stop' : 'by-itself'),
    })
    this.#run = null
    this.#apply('exit')
  }

  #apply(event: DaemonEvent): void {
    const moment = { nowMs: this.#context.nowMs(), pauseMs: this.spec.pauseMs, mercyMs: this.#mercyMs }
    const { next, effect } = stepDaemon(this.#life, event, moment)
    this.#life = next
    if (effect === 'start') this.#start()
    else if (effect === 'send-stop') this.#run?.signal(this.spec.stopSignal)
    else if (effect === 'kill') this.#run?.signal('SIGKILL')
  }

  #start(): void {
    const { name, command } = this.spec
    const { put, log } = this.#context
    const spec = { name, command, ...this.#place() }
    const onStart = (pid: number | null) => log('daemon-start', { name, pid })
    this.#run = new ShellCommand(spec, this.#context, end => put({ type: 'command-end', owner: this, end }), onStart)
  }
}
