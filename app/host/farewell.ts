/**
 * How an application is told that it ends, and how its process ends then: as on bare Node, where SIGTERM comes from outside. Used by `ending.ts`.
 *
 * What must stay true:
 *
 * - The signal itself is never sent: the listeners are called. An application without any ends when it has answered everything.
 * - PM2's message `shutdown` comes before it. An application that listens to messages only, of whatever kind, has a moment for it and not the whole mercy.
 * - The application closes its own server; daimyo never does so before it was told, or its `close` would fail.
 * - An application that exits at once, or kills itself, whatever it still has to answer, as many handlers do, ends when it has answered, streams apart
 *   (`exit-hold.ts`). So the call of `process.exit` returns then, which the code behind it has to bear.
 * - When it was told, nothing of ours keeps the process alive: it ends when the application has nothing more to do, or at its mercy.
 */

import type { Server } from 'node:http'
import { constants } from 'node:os'
import type { StreamLimits } from '../../kit/messages.js'
import type { ApplicationChannel } from './application-channel.js'
import { holdExit } from './exit-hold.js'
import type { LinkServer } from './link-server.js'
import type { Hold } from './master-channel.js'
import type { TunnelServer } from './tunnel-server.js'

/** A worker that serves. `application` may be another one later. */
export interface Running {
  application: Server
  readonly link: LinkServer
  readonly tunnels: TunnelServer
  /** Sends the last metrics. */
  flush(): Promise<void>
}

/** What of the worker it concerns. */
export interface FarewellParts {
  running: Running
  channel: Hold
  messages: Pick<ApplicationChannel, 'isListenedTo' | 'tellShutdown'>
}

const SIGNAL = 'SIGTERM'
/** Where nobody has said which answers are streams: event streams only. */
const EVENT_STREAMS_ONLY = 0

/** Of one worker; the application is told once. */
export class Farewell {
  readonly #parts: FarewellParts
  #isTold = false
  /** Told, it knows what to do with the signal. */
  #heardSignal = false

  constructor(parts: FarewellParts) {
    this.#parts = parts
  }

  /** It wants to know, or has been told. */
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

  /** Answers are still under way, and have `mercyMs`. Streams are cut when `stream` says so, whether or not the application wanted to know. */
  tellEarly(mercyMs: number, stream: StreamLimits | null): void {
    const { link, flush } = this.#parts.running
    if (stream !== null) setTimeout(() => link.cutStreams(stream.afterMs), Math.min(stream.mercyMs, mercyMs)).unref()
    // A stop may follow a reload: it was told then.
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
