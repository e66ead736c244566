/**
 * How late the worker's event loop is. Runs inside the worker next to the application.
 *
 * Node's own delay monitor, a timer outside JavaScript, at 50 ms: 0.8 ms of CPU a second on an idle loop (10 ms
 * resolution: 3 ms; a JavaScript timer of 20 ms: 5 ms). So blocks of more than 50 ms are always seen, shorter ones by
 * chance.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface LoopLag {
  /** Longest lag in about the last second, in milliseconds, 0 if it was never late. */
  lagMs(): number
  stop(): void
}

const RESOLUTION_MS = 50
const WINDOW_MS = 1000

/** Starts to measure; keeps no process alive. */
export function startLoopLag(now: () => number = () => performance.now()): LoopLag {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  monitor.enable()
  let windowStart = now()
  let lastMax = 0
  return {
    lagMs() {
      const max = monitor.max / 1e6
      const longest = Math.max(lastMax, max)
      // A reader turns the windows, so that nothing has to wake up for it; the last window counts until the next has
      // ended.
      if (now() - windowStart >= WINDOW_MS) {
        windowStart = now()
        lastMax = max
        monitor.reset()
      }
      return Math.max(0, longest - RESOLUTION_MS)
    },
    stop: () => void monitor.disable(),
  }
}
