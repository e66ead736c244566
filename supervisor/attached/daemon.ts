/**
 * One attached daemon: keeps one process of its command alive until it is stopped. Executes the decisions of
 * `daemon-phase.ts`.
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

/** A command's surroundings: all of its spec except name and text, from the settings that are in force at its start. */
export type CommandPlace = () => Omit<CommandSpec, 'name' | 'command'>

/** The daemon of one line of the INI. It lives as long as the line does. */
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

  /** Does what is due. Returns the time of the next check. */
  check(): number | null {
    this.#apply('tick')
    return this.#life.deadlineMs
  }

  /** A reload kept this daemon. */
  reloaded(): void {
    const { reloadSignal, name } = this.spec
    if (reloadSignal === null || this.#life.phase !== 'running') return
    this.#context.log('daemon-reload', { name, pid: this.#run?.pid, signal: reloadSignal })
    this.#run?.signal(reloadSignal)
  }

  /** Ends the daemon for good, by SIGKILL after `mercyMs`. */
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
