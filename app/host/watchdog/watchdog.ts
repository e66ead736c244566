/**
 * The main thread's handle on its watchdog, the thread that acts for a worker whose loop is blocked
 * (`watchdog-thread.ts`). It starts when the worker serves; `link-server.ts` adds the links.
 */

import { Worker } from 'node:worker_threads'
import { builtFile } from '../../../kit/ground/places.js'
import type { Outbox } from './outbox.js'
import type { WatchdogStart, WatchedLink } from './watchdog-thread.js'

export interface Watchdog {
  /** Resolves when proxies may ask it, or when it never will answer, after a call of `onTrouble`. */
  listening: Promise<void>
  watch(outbox: Outbox, fd: number): void
}

/**
 * Starts the thread, without the application's preloads. It keeps no process alive, and answers on a unix socket, 0600.
 * `onTrouble`: it could not be started or has died; the worker serves on without it.
 */
export function startWatchdog(start: WatchdogStart, onTrouble: (why: string) => void): Watchdog {
  const thread = new Worker(builtFile('app/host/watchdog/watchdog-thread.js'), {
    name: 'daimyo-watchdog',
    execArgv: [],
    env: {},
    // The thread prints nothing. By default its streams are piped to those of the process, and Node would open these at
    // each start.
    stdout: true,
    stderr: true,
    resourceLimits: SMALL,
    workerData: start,
  })
  thread.on('error', error => onTrouble(error.message))
  thread.unref()
  return {
    listening: new Promise(resolve => {
      thread.once('message', () => resolve()).once('exit', () => resolve())
    }),
    watch(outbox, fd) {
      thread.postMessage({ memory: outbox.memory, fd } satisfies WatchedLink)
    },
  }
}

/** The thread holds next to nothing. */
const SMALL = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
