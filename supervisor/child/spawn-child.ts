/**
 * One child process: its pipes, its channel, its exit. Shared by `worker.ts` and `proxy-process.ts`, which know what the
 * messages mean. `child_process.spawn`, never `cluster`: docs/decisions/no-cluster.md says why.
 *
 * Each child leads a session of its own. Ctrl-C in a terminal goes to the whole foreground group: the children must not see
 * it, because it is the master that tells them, in order, how to end. And by its session is known what the child has started (`worker-remains.ts`).
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { CHANNEL_DESCRIPTORS, Channel, type ChannelLimits } from '../../kit/channel/channel.js'
import { type Credentials, LONGEST_CHILD_MESSAGE_BYTES } from '../../kit/channel/messages.js'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import { describeStay } from '../../kit/process/tracers.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import { LastLines, type OutputGate } from '../log/output-lines.js'
import { whyNotEntered } from '../user/become-user.js'
import { hasEnded } from '../user/killed-child.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type PipeStock, spawnPiped } from '../user/pipes.js'
import { FIRST_ARGUMENTS } from './child-programs.js'

/** What to start, and with what. */
export interface ChildSpec {
  /** Compiled entry file, run by this same Node. */
  entry: string
  /** Arguments of Node itself. */
  nodeArgs: readonly string[]
  /** Who it is, from its first instruction on; null: who the master is. */
  credentials: Credentials | null
  /** What `ps` shows as its name: the last argument, which `child-prelude.cts` makes the name. */
  title: string
  cwd: string
  env: Record<string, string>
  /** `pipe`: through the gate. `inherit`: the master's own. */
  stdout: 'pipe' | 'inherit' | 'ignore'
  /** Descriptors that the child gets as 5, 6, … (3 and 4 are the channel). */
  descriptors: readonly number[]
  /** How much the master listens to it. */
  limits: ChannelLimits
  /** Why it cannot be started at all (`installation.ts`, `start-obstacle.ts`); null: nothing is known against it. */
  obstacle?: string | null
}

/** What it has of the master. */
export interface ChildPlumbing {
  /** Takes what it prints. */
  gate: OutputGate
  pipes: Pick<PipeStock, 'take'>
}

/** Who hears of it. */
export interface ChildListeners {
  /** False: it is none of a child like this, and the channel is given up. */
  message(message: unknown): boolean
  /** The channel has ended. `broken`: the child broke a rule of it; null: it closed it, or died. */
  channelClosed(broken: string | null): void
  /** It sends more than its budget allows; the rest waits. Told once. */
  slowed(): void
  /** Its process has ended, and been reaped; what it printed and said may still come. */
  reaped?(pid: number): void
  /** The last call but one. `error`: it could not even be started. `stays`: it was given up, and why its process is there still. */
  exit(code: number | null, signal: NodeJS.Signals | null, error: string | null, stays: string | null): void
  /** The process that was given up has ended. */
  endedLate?(code: number | null, signal: NodeJS.Signals | null): void
}

/** The descriptor that the first of `ChildSpec.descriptors` has in the child. */
export const FIRST_DESCRIPTOR = 5

/** One process. */
export class Child {
  readonly #process: ChildProcess | null
  readonly #streams: PipedChild['streams']
  readonly #listeners: ChildListeners
  readonly #errorLines = new LastLines()
  #channel: Channel | null = null
  #finished = false
  #hasSpoken = false

  constructor(spec: ChildSpec, { gate, pipes }: ChildPlumbing, listeners: ChildListeners) {
    this.#listeners = listeners
    const piped = this.#spawn(spec, pipes)
    this.#process = piped?.child ?? null
    this.#streams = piped?.streams ?? []
    if (piped === null) return
    const [, stdout, stderr] = piped.streams
    if (stdout) gate.forward(stdout)
    if (stderr) gate.forward(stderr, { onLine: line => this.#errorLines.push(line), isError: true })
    this.#channel = this.#openChannel(piped.streams, spec.limits)
    this.#listen(piped, spec)
  }

  /** null: it could not be started. */
  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  /** The last lines that it wrote to standard error. */
  errorLines(): string[] {
    return this.#errorLines.all()
  }

  /** Sends a message, or does nothing when the channel is closed: the exit tells the rest. `sent`: the kernel has it, or it never will. */
  send(message: object, sent?: () => void): void {
    if (this.#channel !== null) this.#channel.send(message, Number.POSITIVE_INFINITY, sent)
    else sent?.()
  }

  /** SIGKILL, but never to a pid that was reaped. What it has started is not signalled. */
  kill(): void {
    this.#signal('SIGKILL')
  }

  /** It was killed, is dead, and will never be reaped (`isDeadTracee` in `tracers.ts`): it counts as gone, and stays a zombie until the master ends. */
  letGo(): void {
    const { pid } = this
    if (pid === null || this.#finished) return
    this.#listeners.reaped?.(pid)
    for (const stream of this.#streams) stream?.destroy()
    this.#finish(null, 'SIGKILL', null)
  }

  /**
   * It was killed, and does not end: it counts as gone from now on. Its pipes stay open as long as it does: to close one may wait for whoever has locked it.
   */
  giveUp(): void {
    const { pid } = this
    if (pid === null || this.#finished || this.#process === null || hasEnded(this.#process)) return
    this.#process.once('exit', (code, signal) => this.#listeners.endedLate?.(code, signal))
    this.#process.unref()
    this.#finish(null, 'SIGKILL', null, describeStay(pid))
  }

  /** SIGCONT, to one that was stopped. */
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
      // EPERM: its program made another user of it, and its deadline goes on.
      if (codeOf(error) !== 'EPERM') throw error
    }
  }

  /** Node tells most failures by an event and throws the rest, such as E2BIG for an environment that is too large. */
  #spawn(spec: ChildSpec, pipes: ChildPlumbing['pipes']): PipedChild | null {
    try {
      const { entry, nodeArgs, title, cwd, env, obstacle } = spec
      if (obstacle) throw new Error(obstacle)
      const args = [...inspectorArguments(nodeArgs, env), ...FIRST_ARGUMENTS, ...nodeArgs, entry, title]
      const stdout = spec.stdout === 'pipe' ? 'from-child' : spec.stdout
      return spawnPiped(
        pipes,
        spec.credentials,
        { program: process.execPath, args, env, cwd },
        ['ignore', stdout, 'from-child', 'to-child', 'from-child', ...spec.descriptors],
        { detached: true },
      )
    } catch (error) {
      setImmediate(() => this.#finish(null, null, reasonOf(error)))
      return null
    }
  }

  #openChannel(streams: PipedChild['streams'], limits: ChannelLimits): Channel {
    // What the child reads is what is written here.
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
      },
    )
  }

  #listen({ child, streams }: PipedChild, spec: ChildSpec): void {
    child.on('error', error => {
      if (child.pid === undefined) this.#finish(null, null, reasonOf(error))
    })
    // Output and messages that are still in the pipes come before the news of the exit.
    const awaitLastWords = lastWordsOf(streams.filter(stream => stream?.readable) as Socket[])
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
