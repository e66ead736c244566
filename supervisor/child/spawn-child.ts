/**
 * One child process: its pipes, its channel, its exit. `worker-handle.ts` and `proxy-handle.ts` know the meaning of the
 * messages. `child_process.spawn`, never `cluster`: docs/decisions/no-cluster.md says why.
 *
 * Each child leads a session of its own. Ctrl-C in a terminal goes to the whole foreground group. The children must not
 * see it: the master tells them, in order, how to end. The session also shows which processes the child has started
 * (`worker-remains.ts`).
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { CHANNEL_DESCRIPTORS, Channel, type ChannelLimits } from '../../kit/channel/channel.js'
import { type Credentials, LONGEST_CHILD_MESSAGE_BYTES } from '../../kit/channel/messages.js'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import { readProcessStat } from '../../kit/process/process-stat.js'
import { describeStay } from '../../kit/process/tracers.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import { LastLines, type OutputGate } from '../log/output-lines.js'
import { whyNotEntered } from '../user/become-user.js'
import { hasEnded } from '../user/killed-child.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type Pipes, spawnPiped } from '../user/pipes.js'
import { FIRST_ARGUMENTS } from './child-programs.js'

/** The program of a child, and its surroundings. */
export interface ChildSpec {
  /** Compiled entry file, run by the same Node as the master. */
  entry: string
  /** Arguments of Node itself. */
  nodeArgs: readonly string[]
  /** The user of the child, from its first instruction on; null: that of the master. */
  credentials: Credentials | null
  /** Its name in `ps`: the last argument, from which `child-prelude.cts` sets the name. */
  title: string
  cwd: string
  env: Record<string, string>
  /** `pipe`: through the gate. `inherit`: the master's own. */
  stdout: 'pipe' | 'inherit' | 'ignore'
  /** Descriptors that the child gets as 5, 6, … (3 and 4 are the channel). */
  descriptors: readonly number[]
  /** How much the master reads from it. */
  limits: ChannelLimits
  /** Why the child cannot be started (`installation.ts`, `start-obstacle.ts`). Null: no obstacle is known. */
  obstacle?: string | null
}

/** The master's parts for its children. */
export interface ChildPlumbing {
  /** Takes the output of the child. */
  gate: OutputGate
  pipes: Pipes
}

/** The listener for the events of a child. */
export interface ChildListeners {
  /**
   * The process runs. Called before the constructor returns, or later when pipes are ready. Not called if the child
   * cannot be started.
   */
  started?(pid: number): void
  /** False: the value is not a valid message, and the channel is closed. */
  message(message: unknown): boolean
  /** The channel has ended. `broken`: the child broke a rule of it. Null: the child closed it, or died. */
  channelClosed(broken: string | null): void
  /** The child sends more than its budget allows; the rest waits. Called once. */
  slowed(): void
  /** The process has ended and was reaped. Its output and messages may still come. */
  reaped?(pid: number): void
  /**
   * The last call, except for `endedLate`. `error`: the child could not be started. `stays`: it was given up, and the
   * reason why its process still exists.
   */
  exit(code: number | null, signal: NodeJS.Signals | null, error: string | null, stays: string | null): void
  /** A process that was given up has ended. */
  endedLate?(code: number | null, signal: NodeJS.Signals | null): void
}

/** The number that the first of `ChildSpec.descriptors` has in the child. */
export const FIRST_DESCRIPTOR = 5

/** One child process. */
export class Child {
  #process: ChildProcess | null = null
  #streams: PipedChild['streams'] = []
  readonly #listeners: ChildListeners
  readonly #errorLines = new LastLines()
  #channel: Channel | null = null
  #finished = false
  #hasSpoken = false
  /** Messages from before the start. Null: the child has started, or never will. */
  #unsent: { message: object; sent: (() => void) | undefined }[] | null = []
  readonly #callOff: () => void
  #startTicks: string | null = null

  constructor(spec: ChildSpec, plumbing: ChildPlumbing, listeners: ChildListeners) {
    this.#listeners = listeners
    this.#callOff = this.#spawn(spec, plumbing)
  }

  /** Null: the child has not started yet, or cannot. */
  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  /**
   * The start time of the process since boot, which tells it from other processes with its pid. Null: not started yet,
   * or the kernel did not tell.
   */
  get startTicks(): string | null {
    return this.#startTicks
  }

  /** The last lines of standard error. */
  errorLines(): string[] {
    return this.#errorLines.all()
  }

  /**
   * Sends a message. Does nothing if the channel is closed: the exit follows. `sent`: the kernel has the message, or
   * will never get it.
   */
  send(message: object, sent?: () => void): void {
    if (this.#unsent !== null) this.#unsent.push({ message, sent })
    else if (this.#channel !== null) this.#channel.send(message, Number.POSITIVE_INFINITY, sent)
    else sent?.()
  }

  /** Sends SIGKILL, but never to a pid that was reaped. Processes that the child started get no signal. */
  kill(): void {
    if (this.#unsent === null) return this.#signal('SIGKILL')
    this.#callOff()
    this.#notStarted('SIGKILL', null)
  }

  /**
   * The child was killed and is dead, but will never be reaped (`isDeadTracee` in `tracers.ts`). It counts as gone, and
   * stays a zombie until the master ends.
   */
  letGo(): void {
    const { pid } = this
    if (pid === null || this.#finished) return
    this.#listeners.reaped?.(pid)
    for (const stream of this.#streams) stream?.destroy()
    this.#finish(null, 'SIGKILL', null)
  }

  /**
   * The child was killed and does not end. It counts as gone from now on. Its pipes stay open as long as its process
   * lives: the close of a pipe may wait for a process that holds its lock.
   */
  giveUp(): void {
    const { pid } = this
    if (pid === null || this.#finished || this.#process === null || hasEnded(this.#process)) return
    this.#process.once('exit', (code, signal) => this.#listeners.endedLate?.(code, signal))
    this.#process.unref()
    this.#finish(null, 'SIGKILL', null, describeStay(pid))
  }

  /** SIGCONT, for a stopped child. */
  wake(): void {
    this.#signal('SIGCONT')
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#process === null) return
    const { pid, exitCode, signalCode } = this.#process
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    try {
      process.kill(pid, signal)
    } catch (error) {
      // EPERM: the program changed its user. The deadline goes on.
      if (codeOf(error) !== 'EPERM') throw error
    }
  }

  /** Node reports most failures by an event, but throws some, such as E2BIG for an environment that is too large. */
  #spawn(spec: ChildSpec, { gate, pipes }: ChildPlumbing): () => void {
    const { entry, nodeArgs, title, cwd, env, obstacle } = spec
    if (obstacle) {
      this.#notStarted(null, obstacle)
      return () => {}
    }
    const args = [...inspectorArguments(nodeArgs, env), ...FIRST_ARGUMENTS, ...nodeArgs, entry, title]
    const stdout = spec.stdout === 'pipe' ? 'from-child' : spec.stdout
    return spawnPiped(
      pipes,
      spec.credentials,
      { program: process.execPath, args, env, cwd },
      ['ignore', stdout, 'from-child', 'to-child', 'from-child', ...spec.descriptors],
      { detached: true },
      {
        started: piped => this.#started(piped, spec, gate),
        failed: error => this.#notStarted(null, reasonOf(error)),
      },
    )
  }

  #started(piped: PipedChild, spec: ChildSpec, gate: OutputGate): void {
    const { child, streams } = piped
    this.#process = child
    // The child cannot be reaped before this turn ends, so its entry in /proc exists.
    this.#startTicks = child.pid === undefined ? null : (readProcessStat(child.pid)?.startTicks ?? null)
    this.#streams = streams
    const [, stdout, stderr] = streams
    if (stdout) gate.forward(stdout)
    if (stderr) gate.forward(stderr, { onLine: line => this.#errorLines.push(line), isError: true })
    this.#channel = this.#openChannel(streams, spec.limits)
    this.#listen(piped, spec)
    const unsent = this.#unsent ?? []
    this.#unsent = null
    if (child.pid !== undefined) this.#listeners.started?.(child.pid)
    for (const { message, sent } of unsent) this.send(message, sent)
  }

  #notStarted(signal: NodeJS.Signals | null, error: string | null): void {
    const unsent = this.#unsent ?? []
    this.#unsent = null
    setImmediate(() => {
      for (const { sent } of unsent) sent?.()
      this.#finish(null, signal, error)
    })
  }

  #openChannel(streams: PipedChild['streams'], limits: ChannelLimits): Channel {
    // The stream into which the child writes is the one from which the master reads.
    const from = streams[CHANNEL_DESCRIPTORS.writes] as Socket
    const to = streams[CHANNEL_DESCRIPTORS.reads] as Socket
    return new Channel(
      { from, to },
      {
        mostBytes: LONGEST_CHILD_MESSAGE_BYTES,
        ...limits,
        message: message => {
          this.#hasSpoken = true
          return this.#finished || this.#listeners.message(message)
        },
        closed: broken => this.#listeners.channelClosed(broken),
        slowed: () => this.#listeners.slowed(),
        resets: true,
      },
    )
  }

  #listen({ child, streams }: PipedChild, spec: ChildSpec): void {
    child.on('error', error => {
      if (child.pid === undefined) this.#finish(null, null, reasonOf(error))
    })
    // Output and messages that are still in the pipes are delivered before the exit.
    const spoken = [1, 2, CHANNEL_DESCRIPTORS.writes].map(fd => streams[fd] ?? null)
    const awaitLastWords = lastWordsOf(spoken.filter(stream => stream !== null))
    child.on('exit', (code, signal) => {
      if (child.pid !== undefined) this.#listeners.reaped?.(child.pid)
      awaitLastWords(() => {
        const why = this.#hasSpoken ? null : whyNotEntered(spec, code, this.errorLines())
        this.#finish(code, signal, why)
      })
    })
  }

  #finish(code: number | null, signal: NodeJS.Signals | null, error: string | null, stays: string | null = null): void {
    if (this.#finished) return
    this.#finished = true
    this.#listeners.exit(code, signal, error, stays)
  }
}
