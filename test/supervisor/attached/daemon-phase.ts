/** Tests `supervisor/attached/daemon-phase.ts`: the whole table, and the pauses between lives. */

import t from 'tap'
import {
  type DaemonEffect,
  type DaemonEvent,
  type DaemonLife,
  type DaemonPhase,
  newDaemonLife,
  stepDaemon,
} from '../../../supervisor/attached/daemon-phase.js'

const moment = { nowMs: 1000, pauseMs: 0, mercyMs: 500 }
const life = (phase: DaemonPhase, deadlineMs: number | null = null): DaemonLife => ({
  ...newDaemonLife(0),
  phase,
  deadlineMs,
})

const cells: [DaemonPhase, DaemonEvent, DaemonPhase, DaemonEffect | null, deadlineMs?: number][] = [
  ['waiting', 'tick', 'running', 'start', 1000],
  ['waiting', 'tick', 'waiting', null, 1001],
  ['waiting', 'stop', 'gone', null],
  ['waiting', 'kill', 'gone', null],
  ['running', 'tick', 'running', null],
  ['running', 'exit', 'waiting', null],
  ['running', 'stop', 'stopping', 'send-stop'],
  ['running', 'kill', 'killed', 'kill'],
  ['stopping', 'tick', 'stopping', null, 1001],
  ['stopping', 'tick', 'killed', 'kill', 1000],
  ['stopping', 'exit', 'gone', null],
  ['stopping', 'stop', 'stopping', null],
  ['stopping', 'kill', 'killed', 'kill'],
  ['killed', 'exit', 'gone', null],
  ['killed', 'kill', 'killed', null],
  ['gone', 'tick', 'gone', null],
  ['gone', 'exit', 'gone', null],
]
for (const [phase, event, next, effect, deadlineMs = null] of cells) {
  t.test(`${event} in ${phase}`, async t => {
    const step = stepDaemon(life(phase, deadlineMs), event, moment)
    t.match(step, { next: { phase: next }, effect })
  })
}

t.test('what ends again and again is started ever slower', async t => {
  const waits: number[] = []
  let each = newDaemonLife(0)
  let nowMs = 0
  for (let death = 0; death < 12; death++) {
    each = stepDaemon(each, 'tick', { ...moment, nowMs }).next
    t.equal(each.phase, 'running')
    each = stepDaemon(each, 'exit', { ...moment, nowMs }).next
    waits.push(each.deadlineMs! - nowMs)
    nowMs = each.deadlineMs!
  }
  t.same(waits.slice(0, 4), [0, 100, 200, 400])
  t.equal(waits.at(-1), 30_000)
  const healthy = stepDaemon({ ...each, phase: 'running', sinceMs: nowMs }, 'exit', {
    ...moment,
    nowMs: nowMs + 10_000,
  })
  t.equal(healthy.next.deadlineMs, nowMs + 10_000, 'after a long life at once')
})

t.test('never before its pause is over', async t => {
  const { next } = stepDaemon(life('running'), 'exit', { ...moment, pauseMs: 5000 })
  t.equal(next.deadlineMs, 6000)
})

t.test('from every phase a stop and enough time lead to the end', async t => {
  for (const phase of ['waiting', 'running', 'stopping', 'killed', 'gone'] as const) {
    let each = stepDaemon(life(phase, 0), 'stop', moment).next
    const { next, effect } = stepDaemon(each, 'tick', { ...moment, nowMs: 9999 })
    each = next
    if (each.phase !== 'gone') t.equal(each.phase, 'killed', `${phase} ${effect}`)
    t.equal(stepDaemon(each, 'exit', moment).next.phase, 'gone')
  }
})
