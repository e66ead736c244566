/** What `daimyo reload` says that it waits for: `supervisor/reload/reload-wait.ts`. */

import t from 'tap'
import { describeReloadWait, type LeavingWorker, type ReloadWait } from '../../../supervisor/reload/reload-wait.js'

const AT_MS = new Date(2026, 10, 30, 9, 14, 3).getTime()
const rolling: ReloadWait = { phase: 'rolling', untilMs: null, leaving: [], inPlace: 2, wanted: 2 }
const leaves = (slot: number, more: Partial<LeavingWorker> = {}): LeavingWorker => {
  return { slot, phase: 'retiring', inFlight: 3, untilMs: AT_MS, ...more }
}

const cases: [title: string, wait: ReloadWait | null, expected: string][] = [
  ['nothing known', null, 'still reloading'],
  ['the INI', { ...rolling, phase: 'reading' }, 'still reloading: waiting for the configuration and its hooks'],
  [
    'a canary that boots',
    { ...rolling, phase: 'canary', untilMs: AT_MS },
    'still reloading: waiting for the first new worker, until 09:14:03 (worker-start-timeout)',
  ],
  ['a canary that proxies link', { ...rolling, phase: 'canary' }, 'still reloading: waiting for the first new worker'],
  [
    'a soak',
    { ...rolling, phase: 'soaking', untilMs: AT_MS },
    'still reloading: the first new worker soaks, until 09:14:03 (soak)',
  ],
  [
    'streams',
    { ...rolling, leaving: [leaves(2)] },
    'still reloading: waiting for 3 requests of slot 2, until 09:14:03 (worker-reload-mercy)',
  ],
  [
    'several, the last of them named',
    { ...rolling, leaving: [leaves(1, { inFlight: 1, untilMs: AT_MS - 5000 }), leaves(2)] },
    'still reloading: waiting for 1 request of slot 1, 3 requests of slot 2, until 09:14:03 (worker-reload-mercy)',
  ],
  [
    'many',
    { ...rolling, leaving: [1, 2, 3, 4, 5].map(slot => leaves(slot)) },
    'still reloading: waiting for 3 requests of slot 1, 3 requests of slot 2, 3 requests of slot 3, 2 more old workers, until 09:14:03 (worker-reload-mercy)',
  ],
  [
    'an application that cleans up',
    { ...rolling, leaving: [leaves(1, { phase: 'stopping', inFlight: 0 })] },
    'still reloading: waiting for the end of the old worker of slot 1, until 09:14:03',
  ],
  [
    'one that was killed',
    { ...rolling, leaving: [leaves(1, { phase: 'killed', untilMs: null })] },
    'still reloading: waiting for the end of the old worker of slot 1',
  ],
  ['the others', { ...rolling, inPlace: 1 }, 'still reloading: 1 of 2 workers are ready'],
  ['the proxies', rolling, 'still reloading: waiting for the proxies to take over the new configuration'],
]
for (const [title, wait, expected] of cases) {
  t.test(title, t => {
    t.equal(describeReloadWait(wait), expected)
    t.end()
  })
}
