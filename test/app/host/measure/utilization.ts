/** How much of the time an event loop works: `app/host/measure/utilization.ts`. */

import t from 'tap'
import { startUtilization } from '../../../../app/host/measure/utilization.js'

t.test('a blocked loop and an idle one', async t => {
  const shares: number[] = []
  // What follows the first share is awaited by its own timer, not by the one that keeps nothing alive.
  const alive = setInterval(() => {}, 1000)
  await new Promise<void>(resolve => {
    const timer = startUtilization(50, share => {
      shares.push(share)
      if (shares.length === 1) {
        const endMs = performance.now() + 100
        while (performance.now() < endMs);
      }
      if (shares.length < 4) return
      clearInterval(timer)
      resolve()
    })
  })
  clearInterval(alive)
  t.ok(shares[1]! > 0.5, `blocked: ${shares[1]}`)
  t.ok(Math.min(shares[2]!, shares[3]!) < 0.5, `idle: ${shares.slice(2)}`)
  t.ok(shares.every(share => share >= 0 && share <= 1))
})
