/** The one timer: `supervisor/master/alarm.ts`. */

import t from 'tap'
import { Alarm } from '../../../supervisor/master/alarm.js'

/** What an alarm at these times does when the clock stands at 1000: how long its timer is, null for none. */
function timerOf(times: (number | null)[]): number | null {
  let waitMs: number | null = null
  const { setTimeout } = globalThis
  globalThis.setTimeout = ((_ring: () => void, ms: number) => {
    waitMs = ms
    return setTimeout(() => {}, 0)
  }) as typeof setTimeout
  try {
    new Alarm(
      () => 1000,
      () => {},
    ).set(times)
  } finally {
    globalThis.setTimeout = setTimeout
  }
  return waitMs
}

const cases: [string, (number | null)[], number | null][] = [
  ['never', [null, null], null],
  ['nothing', [], null],
  ['the earliest', [1500, null, 1200], 200],
  ['rounded up', [1000.2], 1],
  ['past', [10], 0],
  ['far away', [1e12], 60_000],
]
for (const [title, times, expected] of cases) {
  t.test(title, t => {
    t.equal(timerOf(times), expected)
    t.end()
  })
}

t.test('rings, and not when it was cleared or set to never', async t => {
  const rung: string[] = []
  await new Promise<void>(resolve => {
    const cleared = new Alarm(
      () => performance.now(),
      () => rung.push('cleared'),
    )
    cleared.set([performance.now()])
    cleared.clear()
    const never = new Alarm(
      () => performance.now(),
      () => rung.push('never'),
    )
    never.set([performance.now()])
    never.set([null])
    new Alarm(
      () => performance.now(),
      () => {
        rung.push('set')
        resolve()
      },
    ).set([performance.now() + 5])
  })
  t.same(rung, ['set'])
})
