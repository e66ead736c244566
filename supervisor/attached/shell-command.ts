/**
 * A shell command that the master runs beside the application: a hook, a daemon, a cron job.
 *
 * It leads a session of its own, in which two shells stand: the leader, which runs the command, and a watcher, which
 * reads a pipe from the master (standard input, which libuv makes blocking; the command has none). When the command has
 * ended the master writes a word, and the watcher kills what the command left in the group; its own pid keeps the
 * group's number taken until then. When the master dies, even by SIGKILL, the pipe ends: the group gets SIGTERM, and
 * SIGKILL a second later. What must stay true: nothing of the group outlives the command or the master (but what made a
 * session of its own), and a group is signalled only while its leader has not been reaped.
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

/** What commands tell the master. */
export type CommandEvent = PlainEvent | { type: 'command-end'; owner: CommandOwner; end: CommandEnd }

/** Whoever runs a shell command: a hook, a daemon, a cron job. */
export interface CommandOwner {
  ended(end: CommandEnd): void
}

/** What to run. `name` stands before its lines in the log, and is what `ps` shows. */
export interface CommandSpec {
  name: string
  command: string
  cwd: string
  env: Record<string, string>
  credentials: Credentials | null
}

/** How it ended: `error` when it could not even be started. A shell reports a death by signal as 128 + its number. */
export interface CommandEnd {
  code: number | null
  signal: string | null
  error: string | null
}

/** What the group may be sent besides SIGKILL: the leader lives through these. */
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
 * `trap :` and not `trap ""`: what is ignored would stay ignored in the command. The leader's own words on deaths go
 * nowhere. The watcher prints nothing and keeps standard output open: its end tells the master that the group is gone.
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
   * `log` hears of tracers. `onEnd` is the last call, when nothing of the group is left. `onStart` comes once before
   * it, at once or when there are pipes, but not if it is ended while it waits for them; null: it could not be started.
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
      // Ends what the command left behind; the pipes end with it.
      control.end('end\n')
    })
  }

  /** Of the leader, which is the group's number too; null: it is not started yet, or could not be. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** The last lines that it wrote to standard error. */
  errorLines(): string[] {
    return this.#errorLines.all()
  }

  /**
   * To the command and everything that it started. Does nothing once it has ended; one that is not started yet never
   * will be.
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
      // ESRCH: between fork and setsid there is no group yet. EPERM: all of it became somebody else.
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
