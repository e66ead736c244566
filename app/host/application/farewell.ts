/**
 * How an application is told that it ends, and how its process ends then: as on bare Node, where SIGTERM comes from
 * outside.
 *
 * What must stay true:
 *
 * - The signal itself is never sent: the listeners are called. An application without listeners ends when all its
 *   responses are complete.
 * - PM2's message `shutdown` comes before it. An application that listens to messages only, of whatever kind, has a
 *   moment for it and not the whole mercy.
 * - The application closes its own server. daimyo never does so before the application was told, or its `close` would
 *   fail.
 * - An application that exits at once, or kills itself, with responses under way, as many handlers do, ends when these
 *   are complete, streams apart (`holdExit`). So the call of `process.exit` returns, which the code behind it has to
 *   bear.
 * - After the application was told, nothing of ours keeps the process alive: it ends when the application has nothing
 *   more to do, or at its mercy.
 */

import type { Server } from 'node:http'
import { constants } from 'node:os'
import { setTimeout } from 'node:timers'
import { setTimeout as delay } from 'node:timers/promises'
import type { StreamLimits } from '../../../kit/channel/messages.js'
import type { LinkServer } from '../link/link-server.js'
import type { TunnelServer } from '../link/tunnel-server.js'
import type { ApplicationChannel } from './application-channel.js'
import type { Hold } from './master-channel.js'

/** A serving worker. `application` may be another one later. */
export interface Running {
  application: Server
  readonly link: LinkServer
  readonly tunnels: TunnelServer
  /** Sends the last metrics. */
  flush(): Promise<void>
}

/** The parts of the worker that are needed here. */
export interface FarewellParts {
  running: Running
  channel: Hold
  messages: Pick<ApplicationChannel, 'isListenedTo' | 'tellShutdown'>
}

const SIGNAL = 'SIGTERM'
/** If nobody has said which responses are streams: event streams only. */
const EVENT_STREAMS_ONLY = 0

/** Of one worker; the application is told once. */
export class Farewell {
  readonly #parts: FarewellParts
  #isTold = false
  /** The application was told by the signal, and decides what to do. */
  #heardSignal = false

  constructor(parts: FarewellParts) {
    this.#parts = parts
  }

  /** It listens to the end, or has been told. */
  get concernsApplication(): boolean {
    return this.#isTold || process.listenerCount(SIGNAL) > 0 || this.#parts.messages.isListenedTo
  }

  get isTold(): boolean {
    return this.#isTold
  }

  /** It was told by the message alone, and the signal has its default. */
  get wasToldByMessage(): boolean {
    return this.#isTold && !this.#heardSignal
  }

  /**
   * Responses are still under way, and have `mercyMs`. Streams are cut when `stream` says so, whether or not the
   * application listens to the end.
   */
  tellEarly(mercyMs: number, stream: StreamLimits | null): void {
    const { link, flush } = this.#parts.running
    if (stream !== null) setTimeout(() => link.cutStreams(stream.afterMs), Math.min(stream.mercyMs, mercyMs)).unref()
    // A stop may follow a reload, which has told the application.
    if (this.#isTold || !this.concernsApplication) return
    const streamAfterMs = stream?.afterMs ?? EVENT_STREAMS_ONLY
    holdExit({
      isDone: () => link.owed(streamAfterMs) === 0 && link.deliver(),
      deadlineMs: performance.now() + mercyMs,
      flush,
    })
    this.tell()
  }

  /** Runs the listeners of the message and of the signal, and leaves the process to the application. */
  tell(): void {
    if (this.#isTold) return
    this.#isTold = true
    const { running, channel, messages } = this.#parts
    const { application, flush } = running
    this.#heardSignal = process.listenerCount(SIGNAL) > 0
    process.once('beforeExit', () => void flush())
    channel.unref()
    application.unref()
    // As Node calls them, with the number, which the types leave out.
    const { emit } = process as unknown as { emit(name: string, ...args: unknown[]): boolean }
    try {
      messages.tellShutdown()
    } finally {
      emit.call(process, SIGNAL, SIGNAL, constants.signals[SIGNAL])
    }
  }
}

/** What an exit waits for. */
export interface ExitTerms {
  isDone(): boolean
  /** By `performance.now()`; then the end comes in any case. */
  deadlineMs: number
  /** Sends the last metrics. */
  flush(): Promise<void>
}

/** The parts of `process` that replace Node's. */
export type ExitDoors = Pick<
  NodeJS.Process,
  'pid' | 'exit' | 'kill' | 'exitCode' | 'listenerCount' | 'removeAllListeners'
> & {
  emit(name: string | symbol, ...args: unknown[]): boolean
  /** Undocumented; `process.exit` calls it in the end. */
  reallyExit(code?: number): never
  /** Undocumented: `process.exit` is under way. */
  _exiting?: boolean
}

type ExitCode = number | string | null | undefined

const DEADLY: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGKILL']
const BREAKS: ReadonlySet<string | symbol> = new Set(['uncaughtException', 'unhandledRejection'])
const LOOK_MS = 20

/**
 * From here on, holds the end that an application gives itself while it still has responses under way: `process.exit`,
 * `process.reallyExit`, and a deadly signal that it sends to itself. What must stay true:
 *
 * - The first requested end is the one that comes: its code, or its signal, to which nothing listens any more then.
 * - A signal that the application listens to is no end. `signal-exit`, which many packages bring along, removes its own
 *   listener and then sends the signal again, as does `process.once('SIGTERM', …)`.
 * - A handler of `uncaughtException` or `unhandledRejection` that exits does so at once: a broken process sends no
 *   responses. An end that is already held stays held: the code behind it runs on, and may fail because of that.
 * - A direct call of Node's own `process.exit`, as `main.ts` has it, is not held.
 */
export function holdExit(terms: ExitTerms, doors = process as unknown as ExitDoors): void {
  const { exit, kill, reallyExit, emit } = doors
  let isLeaving = false
  let isBreaking = false
  let isFinished = false
  const passes = () => isFinished || (isBreaking && !isLeaving)
  const leave = async (end: () => void) => {
    if (isLeaving) return
    isLeaving = true
    while (!terms.isDone() && performance.now() < terms.deadlineMs) await delay(LOOK_MS)
    await terms.flush()
    isFinished = true
    end()
  }
  const leaveWith = (end: () => void, code: ExitCode) => {
    if (!isLeaving && code !== undefined && code !== null) doors.exitCode = code
    void leave(end)
  }
  doors.exit = ((code?: ExitCode) =>
    passes() ? exit.call(doors, code) : leaveWith(() => exit.call(doors), code)) as typeof exit
  doors.reallyExit = ((code?: number) =>
    passes() || doors._exiting
      ? reallyExit.call(doors, code)
      : leaveWith(() => reallyExit.call(doors, code), code)) as typeof reallyExit
  doors.kill = (pid, signal) => {
    const deadly = deadlySignal(signal)
    if (passes() || deadly === null || !isOwn(doors.pid, pid) || doors.listenerCount(deadly) > 0)
      return kill.call(doors, pid, signal)
    void leave(() => {
      doors.removeAllListeners(deadly)
      kill.call(doors, pid, signal)
    })
    return true
  }
  doors.emit = (name, ...args) => {
    if (!BREAKS.has(name)) return emit.call(doors, name, ...args)
    isBreaking = true
    try {
      return emit.call(doors, name, ...args)
    } finally {
      isBreaking = false
    }
  }
}

function deadlySignal(signal: string | number | undefined): NodeJS.Signals | null {
  return DEADLY.find(name => name === (signal ?? 'SIGTERM') || constants.signals[name] === signal) ?? null
}

/** The process, or its group, which contains no other program's process. */
function isOwn(own: number, pid: number): boolean {
  return [0, own, -own].includes(Number(pid))
}
