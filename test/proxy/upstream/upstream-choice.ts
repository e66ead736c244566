/** Whom a request goes to among upstreams that are busy, out, or on trial. */

import t from 'tap'
import {
  chooseUpstream,
  countFailure,
  countSuccess,
  newHealth,
  type UpstreamHealth,
} from '../../../proxy/upstream/upstream-choice.js'

type Case = [
  title: string,
  healths: Partial<UpstreamHealth>[],
  expected: number | 'full' | 'exhausted',
  options?: Partial<Options>,
]

interface Options {
  tried: number[]
  limit: number
  after: number
  mayTrial: boolean
}

const OUT = { outUntilMs: 2000 }
const DUE = { outUntilMs: 900 }

t.test('chooses', async t => {
  const cases: Case[] = [
    ['the only one', [{}], 0],
    ['the fewest in flight', [{ inFlight: 2 }, { inFlight: 1 }, { inFlight: 3 }], 1],
    ['of equals the next', [{}, {}, {}], 2, { after: 1 }],
    ['and around', [{}, {}, {}], 0, { after: 2 }],
    ['none with room', [{ inFlight: 9 }, { inFlight: 9 }], 'full', { limit: 9 }],
    ['one with room', [{ inFlight: 9 }, { inFlight: 8 }], 1, { limit: 9 }],
    ['not one that was tried', [{}, { inFlight: 5 }], 1, { tried: [0] }],
    ['all were tried', [{}, {}], 'exhausted', { tried: [0, 1] }],
    ['not one that is out', [OUT, { inFlight: 5 }], 1],
    ['not one that is out, though the other is full', [OUT, { inFlight: 9 }], 'full', { limit: 9 }],
    ['one that is due for its trial', [DUE, { inFlight: 5 }], 0],
    ['not with what must not be sent twice', [DUE, { inFlight: 5 }], 1, { mayTrial: false }],
    ['not a second one', [{ ...DUE, onTrial: true }, { inFlight: 5 }], 1],
    ['all out: who is back first', [OUT, { outUntilMs: 1500 }, { outUntilMs: 1700 }], 1],
    ['all out, whatever the method', [OUT, { outUntilMs: 1500 }], 1, { mayTrial: false }],
    ['all out and one tried', [OUT, { outUntilMs: 1500 }], 0, { tried: [1] }],
    ['all out and full', [{ ...OUT, inFlight: 9 }], 'full', { limit: 9 }],
  ]
  for (const [title, healths, expected, options = {}] of cases) {
    const all = healths.map((health, index) => ({ ...newHealth(), ...health, index }))
    const tried = new Set((options.tried ?? []).map(index => all[index] as (typeof all)[number]))
    const choice = chooseUpstream(all, tried, { nowMs: 1000, limit: 100, after: -1, mayTrial: true, ...options })
    t.equal(typeof choice === 'string' ? choice : choice.index, expected, title)
  }
})

t.test('counts failures within the grace time', async t => {
  const rules = { maxFails: 3, graceMs: 100 }
  const health = newHealth()
  t.equal(countFailure(health, rules, 1000), false)
  t.equal(countFailure(health, rules, 1050), false)
  t.equal(countFailure(health, rules, 1101), false, 'the first two are too long ago')
  t.equal(countFailure(health, rules, 1102), false)
  t.equal(countFailure(health, rules, 1103), true, 'out')
  t.equal(health.outUntilMs, 1203)
  t.equal(countFailure(health, rules, 1300), false, 'and still out after its trial')
  t.equal(health.outUntilMs, 1400)
  t.equal(countSuccess(health), true, 'back')
  t.equal(countSuccess(health), false)
  t.same({ ...health, failingSinceMs: 0 }, newHealth())
  for (let number = 0; number < 100; number++) countFailure(health, { ...rules, maxFails: 0 }, 1500)
  t.equal(health.outUntilMs, 0, '0: never out')
})
