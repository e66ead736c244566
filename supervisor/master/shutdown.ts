/**
 * The end of the tree, in order: the proxies finish the requests in flight, then the workers are told to exit. `check`
 * runs after every event.
 */

import type { MasterContext } from '../child/master-context.js'
import type { Listener } from '../listen/listeners.js'
import type { Proxies } from '../proxies/proxies.js'
import { CLEAN_UP_MS } from '../workers/worker-phase.js'
import type { Workers } from '../workers/workers.js'

/** The parts that must end. */
export interface ShutdownParts {
  listeners: readonly Listener[]
  proxies: Proxies
  workers: Workers
}

/** Ctrl-C under `npm` arrives twice, from the terminal and from npm: that is one key press, not impatience. */
const SAME_KEY_MS = 500

/** One shutdown. It begins with the constructor. */
export class Shutdown {
  readonly why: string
  readonly #mercyMs: number
  readonly #context: MasterContext
  readonly #sinceMs: number
  #phase: 'draining' | 'stopping' = 'draining'

  /** `mercyMs` bounds the whole shutdown. 0: nothing is waited for. */
  constructor(why: string, mercyMs: number, context: MasterContext, parts: ShutdownParts | null) {
    this.why = why
    this.#mercyMs = mercyMs
    this.#context = context
    this.#sinceMs = context.nowMs()
    context.log('master-stopping', { why, mercyMs })
    if (parts === null) return
    parts.workers.freeze(why, mercyMs)
    parts.proxies.drain(why, mercyMs)
    // From now on only the proxies hold the sockets. When the last proxy has closed them, the port is free for another
    // program.
    for (const listener of parts.listeners) listener.close()
  }

  /** Takes the next step if it is due. True: everything is gone. */
  check({ proxies, workers }: ShutdownParts): boolean {
    if (this.#phase === 'draining' && proxies.alive().length === 0) {
      this.#phase = 'stopping'
      // All proxies are gone: the workers get the rest of the mercy.
      const leftMs = this.#sinceMs + this.#mercyMs - this.#context.nowMs()
      workers.stop(this.why, this.#mercyMs === 0 ? 0 : Math.max(CLEAN_UP_MS, leftMs))
    }
    return this.#phase === 'stopping' && workers.all().length === 0 && workers.remains.areGone
  }

  /** A second SIGINT ends everything at once: a user who presses Ctrl-C again does not want to wait. */
  get isImpatient(): boolean {
    return this.#context.nowMs() - this.#sinceMs > SAME_KEY_MS
  }

  /** Kills everything now. */
  kill(why: string, { proxies, workers }: ShutdownParts): void {
    this.#context.log('master-killing', { why })
    proxies.kill(why)
    workers.kill(why)
  }
}
