/**
 * A shell command that the master runs beside the application: a hook, a daemon, a cron job.
 *
 * The command has a session of its own with two shells. The leader runs the command. The watcher reads a pipe from the
 * master (its standard input, which libuv makes blocking; the command does not get it). When the command has ended, the
 * master writes a word, and the watcher kills the rest of the process group. Until then the watcher's membership keeps
 * the group's number from reuse. If the master dies, even by SIGKILL, the pipe ends: then the watcher sends SIGTERM to
 * the group, and SIGKILL a second later.
 *
 * What must stay true: no process of the group outlives the command or the master, unless it made a session of its own.
 * The master signals a group only while its leader has not been reaped.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import type { StopSignal } from '../../kit/options/values/value-types.js'
import type { PlainEvent } from '../child/master-context.js'
import type { ChildPlumbing } from '../child/spawn-child.js'
import { LastLines, type OutputGate } from '../log/output-lines.js'
import { whyNotEntered } from '../user/become-user.js'
import { type KilledChild, killForGood } from '../user/killed-child.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type PipedStart, spawnPiped } from '../user/pipes.js'

/** Events of commands in the queue of the master. */
export type CommandEvent = PlainEvent | { type: 'command-end'; owner: CommandOwner; end: CommandEnd }

/** The owner of a shell command: a hook, a daemon or a cron job. */
export interface CommandOwner {
  ended(end: CommandEnd): void
}

/** The command to run. `name` precedes its lines in the log, and is its name in `ps`. */
export interface CommandSpec {
  name: string
  command: string
  cwd: string
  env: Record<string, string>
  credentials: Credentials | null
}

/**
 * How the command ended. `error`: it could not be started. A shell reports a death by signal as 128 + the signal's
 * number.
 */
export interface CommandEnd {
  code: number | null
  signal: string | null
  error: string | null
}

/** The signals besides SIGKILL that the group may get. The leader survives them. */
export const SIGNAL_NAMES = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
] as const satisfies StopSignal[]

const NAMES = SIGNAL_NAMES.map(name => name.slice(3)).join(' ')

/**
 * `trap :` and not `trap ""`: the command would inherit an ignored signal. The leader's own messages about deaths are
 * dropped. The watcher prints nothing but keeps standard output open, so the end of the stream tells the master that
 * the group is gone.
 */
const SCRIPT = `trap : ${NAMES}
exec 3<&0 </dev/null
( trap "" ${NAMES}
  exec 2>/dev/null
  read -r word <&3 || { kill -TERM 0; sleep 1; }
  kill -KILL 0 ) &
exec 4>&2 2>/dev/null
( exec /bin/sh -c "$1" 2>&4 3<&- 4>&- )
status=$?
exec 3<&- 4>&-
exit $status`

/** One run of one command. */
export class ShellCommand {
  #child: ChildProcess | null = null
  readonly #onEnd: (end: CommandEnd) => void
  readonly #errorLines = new LastLines()
  readonly #killed: KilledChild
  #streams: PipedChild['streams'] = []
  #isWaiting = true
  #hasEnded = false
  readonly #callOff: () => void

  /**
   * `log` gets events about tracers. `onStart` is called once, immediately or when there are pipes, with null if the
   * command could not be started. It is not called if the command is ended while it waits for pipes. `onEnd` is the
   * last call, after all of the group has ended.
   */
  constructor(
    spec: CommandSpec,
    { gate, pipes, log }: ChildPlumbing & { log?: Log },
    onEnd: (end: CommandEnd) => void,
    onStart: (pid: number | null) => void = () => {},
  ) {
    this.#onEnd = onEnd
    const tell: KilledChild['tell'] = (event, fields) => log?.(event, { command: spec.name, ...fields })
    this.#killed = { credentials: spec.credentials, tell, letGo: () => this.#letGo() }
    this.#callOff = this.#spawn(spec, pipes, {
      started: piped => {
        this.#isWaiting = false
        this.#follow(piped, spec, gate)
        onStart(this.pid)
      },
      failed: error => {
        this.#isWaiting = false
        onStart(null)
        setImmediate(() => this.#finish({ code: null, signal: null, error: reasonOf(error) }))
      },
    })
  }

  #follow(piped: PipedChild, spec: CommandSpec, gate: OutputGate): void {
    this.#child = piped.child
    this.#streams = piped.streams
    const [control, stdout, stderr] = piped.streams as [Socket, Socket, Socket]
    const { name } = spec
    gate.forward(stdout, { name })
    gate.forward(stderr, { name, onLine: line => this.#errorLines.push(line), isError: true })
    piped.child.on('error', error => {
      if (piped.child.pid !== undefined) return
      control.destroy()
      this.#finish({ code: null, signal: null, error: reasonOf(error) })
    })
    const awaitLastWords = lastWordsOf([stdout, stderr])
    piped.child.on('exit', (code, signal) => {
      awaitLastWords(() => {
        const error = whyNotEntered(spec, code, this.errorLines())
        this.#finish(error === null ? { ...endOf(code, signal), error } : { code: null, signal: null, error })
      })
      // Makes the watcher kill the rest of the group. The pipes end with it.
      control.end('end\n')
    })
  }

  /** The pid of the leader, which is also the number of the group. Null: not started yet, or the start failed. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** The last lines on standard error. */
  errorLines(): string[] {
    return this.#errorLines.all()
  }

  /**
   * Signals the command and everything that it started. Does nothing after its end. A command that has not started yet
   * will not start any more.
   */
  signal(signal: StopSignal): void {
    if (this.#isWaiting) return this.#endUnstarted(signal)
    if (this.#child === null) return
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    if (signal === 'SIGKILL') killForGood(this.#child, this.#killed, () => this.#signalGroup(pid, signal))
    else this.#signalGroup(pid, signal)
  }

  #signalGroup(pid: number, signal: StopSignal): void {
    try {
      process.kill(-pid, signal)
    } catch (error) {
      // ESRCH: between fork and setsid there is no group yet. EPERM: all processes of the group have changed their
      // user.
      if (!['ESRCH', 'EPERM'].includes(codeOf(error))) throw error
      this.#child?.kill(signal)
    }
  }

  #endUnstarted(signal: StopSignal): void {
    this.#isWaiting = false
    this.#callOff()
    setImmediate(() => this.#finish({ code: null, signal, error: null }))
  }

  #letGo(): void {
    for (const stream of this.#streams) stream?.destroy()
    this.#finish({ code: null, signal: 'SIGKILL', error: null })
  }

  #spawn(spec: CommandSpec, pipes: ChildPlumbing['pipes'], start: PipedStart): () => void {
    const { env, cwd, credentials } = spec
    const args = ['-c', SCRIPT, `daimyo: ${spec.name}`, spec.command]
    const program = { program: '/bin/sh', args, env, cwd }
    return spawnPiped(pipes, credentials, program, ['to-child', 'from-child', 'from-child'], { detached: true }, start)
  }

  #finish(end: CommandEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#onEnd(end)
  }
}

function endOf(code: number | null, signal: string | null): Pick<CommandEnd, 'code' | 'signal'> {
  const named = Object.entries(constants.signals).find(([, number]) => code !== null && number === code - 128)
  return named === undefined ? { code, signal } : { code: null, signal: named[0] }
}
