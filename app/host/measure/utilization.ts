/**
 * How much of the time the worker's event loop works, for `cheaper-algo = busyness`. Runs only if the master asks for
 * it; costs a timer.
 */

import { performance } from 'node:perf_hooks'
import { setInterval } from 'node:timers'

/** Reports the share since the last time, 0 to 1, every `everyMs`; keeps no process alive. */
export function startUtilization(everyMs: number, tell: (share: number) => void): NodeJS.Timeout {
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    tell(Math.min(1, Math.max(0, utilization)))
  }, everyMs)
  return timer.unref()
}
