/** Which signal means what: `supervisor/master/signals.ts`. */

import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { listenToSignals, SIGNALS } from '../../../supervisor/master/signals.js'

t.test('each signal queues its event, until the end', t => {
  const source = new EventEmitter()
  const put: unknown[] = []
  const end = listenToSignals(source, (signal, event) => put.push([signal, event]))
  for (const signal of Object.keys(SIGNALS)) source.emit(signal)
  t.same(put, Object.entries(SIGNALS))
  end()
  for (const signal of Object.keys(SIGNALS)) source.emit(signal)
  t.equal(put.length, Object.keys(SIGNALS).length)
  t.end()
})

t.test('a real process gets them, SIGUSR1 too', async t => {
  const arrivals = new EventEmitter()
  const end = listenToSignals(process, signal => arrivals.emit(signal))
  // Signals alone do not keep a process alive; in the master its children do.
  const alive = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(alive))
  for (const signal of Object.keys(SIGNALS)) {
    const arrival = once(arrivals, signal)
    process.kill(process.pid, signal)
    await arrival
    t.pass(signal)
  }
  end()
})
