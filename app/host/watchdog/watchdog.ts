/**
 * The main thread's handle on its watchdog, the thread that acts for a worker whose loop is blocked
 * (`watchdog-thread.ts`). Started by `main.ts` when the worker serves; links are put under its eye by `link-server.ts`.
 */

import { Worker } from 'node:worker_threads'
import { builtFile } from '../../../kit/ground/places.js'
import type { Outbox } from './outbox.js'
import type { WatchdogStart, WatchedLink } from './watchdog-thread.js'

export interface Watchdog {
  /** Resolves when proxies may ask it, or when it never will answer, which `onTrouble` was told. */
  listening: Promise<void>
  watch(outbox: Outbox, fd: number): void
}

/**
 * Starts the thread, with nothing of the application's preloads, and keeps no process alive by it. It answers on a unix
 * socket, 0600. `onTrouble`: it could not be started or has died; the worker serves on, only without it.
 */
export function startWatchdog(start: WatchdogStart, onTrouble: (why: string) => void): Watchdog {
  const thread = new Worker(builtFile('app/host/watchdog/watchdog-thread.js'), {
    name: 'daimyo-watchdog',
    execArgv: [],
    env: {},
    // It prints nothing. Piped to those of the process, as they are by default, they would have Node open these at each
    // start.
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

/** It holds next to nothing. */
const SMALL = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }
