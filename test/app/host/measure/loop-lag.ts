/** The event-loop lag of this very process. */

import { spawnSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { startLoopLag } from '../../../../app/host/measure/loop-lag.js'

function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Lets the monitor's timer fire: it is due after 50 ms, and fires when the loop turns. */
async function turn(): Promise<void> {
  block(60)
  await setImmediate()
  await setImmediate()
}

t.test('sees a blocked loop, remembers it for a window, then forgets it', async t => {
  let now = 0
  const lag = startLoopLag(() => now)
  t.teardown(() => lag.stop())
  await turn()
  block(400)
  await turn()
  const seen = lag.lagMs()
  t.ok(seen >= 300 && seen < 5000, `${seen} ms`)
  now = 1000
  t.equal(lag.lagMs(), seen, 'the window ends')
  t.ok(lag.lagMs() >= seen, 'the last window still counts')
  await turn()
  now = 2000
  t.ok(lag.lagMs() >= seen)
  t.ok(lag.lagMs() < 300, 'two windows later it is gone')
})

t.test('keeps no process alive', async t => {
  const url = new URL('../../../../app/host/measure/loop-lag.js', import.meta.url).href
  const code = `(await import(${JSON.stringify(url)})).startLoopLag()`
  const { status, error } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    timeout: 20_000,
    env: {},
  })
  t.same({ status, error }, { status: 0, error: undefined })
})
