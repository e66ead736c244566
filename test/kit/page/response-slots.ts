/** Which responses are cut off, and who gets their slots. */

import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ResponseSlot, ResponseSlots, type SlotLimits } from '../../../kit/page/response-slots.js'

const MB = 1024 * 1024
const bytes = 20 * MB

function start(t: Test, limits: Partial<SlotLimits> = {}) {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  t.teardown(() => mock.timers.reset())
  let nowMs = 0
  const slots = new ResponseSlots({ responses: 1, ...limits }, () => nowMs)
  /** A response of which the kernel has taken `atOnce`, and `perSecond` from then on. */
  const send = (slot: ResponseSlot | null, atOnce: number, perSecond: number) => {
    const state = { cutMs: 0, end: () => {} }
    const beganMs = nowMs
    slot?.send(
      {
        get waitingBytes() {
          return Math.max(0, bytes - atOnce - ((nowMs - beganMs) / 1000) * perSecond)
        },
        cut: () => {
          state.cutMs = nowMs - beganMs
        },
        whenOver: callback => {
          state.end = callback
        },
      },
      bytes,
    )
    return state
  }
  const pass = (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 100) {
      nowMs += 100
      mock.timers.tick(100)
    }
  }
  return { slots, send, pass }
}

/** In milliseconds; 0: it is not cut off within ten seconds. */
const paces: [title: string, atOnce: number, perSecond: number, aloneMs: number, inRushMs: number][] = [
  ['reads nothing, whatever the kernel has taken', 6 * MB, 0, 2200, 400],
  ['trickles', 0, 10 * 1024, 2500, 400],
  ['reads slowly', 0, 200 * 1024, 0, 500],
  ['reads', 0, 1.5 * MB, 0, 0],
]

for (const [title, atOnce, perSecond, aloneMs, inRushMs] of paces) {
  t.test(`a client that ${title}`, async t => {
    const { slots, send, pass } = start(t, { waitingMs: 60_000 })
    const alone = send(await slots.enter('a'), atOnce, perSecond)
    pass(10_000)
    t.equal(alone.cutMs, aloneMs, 'alone')
    if (aloneMs === 0) alone.end()
    const rushed = send(await slots.enter('a'), atOnce, perSecond)
    const next = slots.enter('b')
    pass(10_000)
    t.equal(rushed.cutMs, inRushMs, 'while others wait')
    if (inRushMs === 0) rushed.end()
    t.ok(await next, 'the next one has its slot')
  })
}

t.test('a client that reads on has its deadline too', async t => {
  const { slots, send, pass } = start(t)
  const state = send(await slots.enter('a'), 0, MB)
  pass(16_000)
  t.equal(state.cutMs, 15_100)
})

t.test('who waits too long, or finds no place in line, is refused', async t => {
  const { slots, pass } = start(t, { waiting: 1 })
  const first = await slots.enter('a')
  const second = slots.enter('a')
  t.equal(await slots.enter('a'), null)
  pass(5000)
  t.equal(await second, null)
  first?.leave()
  first?.leave()
  t.ok(await slots.enter('a'), 'a slot that is left twice is one')
  t.equal(await Promise.race([slots.enter('b'), setImmediate('waits')]), 'waits')
})
