/** Which workers to start and which to end: `supervisor/workers/slots.ts`. */

import t from 'tap'
import { NO_BACK_OFF } from '../../../supervisor/child/back-off.js'
import {
  type DesiredState,
  type HeldBack,
  reconcile,
  type SlotAction,
  type SlotView,
  type SlotWorker,
} from '../../../supervisor/workers/slots.js'

const worker = (generation: number, more: Partial<SlotWorker> = {}): SlotWorker => ({
  workerId: 1,
  generation,
  phase: 'ready',
  sinceMs: 0,
  linked: true,
  lackedSinceMs: null,
  recycle: null,
  ...more,
})

const slot = (number: number, more: Partial<SlotView> = {}): SlotView => ({
  slot: number,
  generation: 1,
  current: worker(1),
  replacement: null,
  backOff: NO_BACK_OFF,
  pace: NO_BACK_OFF,
  predecessors: 0,
  unended: 0,
  isNew: false,
  ...more,
})

const desired = (more: Partial<DesiredState> = {}): DesiredState => ({
  wanted: 2,
  generation: 1,
  target: 1,
  move: { why: 'reload', atOnce: true, hold: 'none' },
  leaving: 0,
  overlap: 0,
  linkMs: 1000,
  nowMs: 500,
  ...more,
})

const reload = { target: 2 }
const rollback = { target: 1, move: { why: 'rollback', atOnce: false, hold: 'none' as const } }
const holding = { why: 'reload', atOnce: true }
const waiting = { deaths: 3, notBeforeMs: 700 }
const asks = (workerId: number, recycle = 'max-requests') => worker(1, { workerId, recycle })
const unlinked = { linked: false, lackedSinceMs: -500, sinceMs: -600 }
const spawn = (number: number, generation: number, place: 'current' | 'replacement', why: string): SlotAction => ({
  type: 'spawn',
  slot: number,
  generation,
  place,
  why,
})

const cases: [string, SlotView[], Partial<DesiredState>, SlotAction[], number | null][] = [
  ['as wanted', [slot(1), slot(2)], {}, [], null],
  ['nothing is there', [], {}, [1, 2].map(number => ({ type: 'add', slot: number, generation: 1 })), null],
  ['nothing is wanted', [], { wanted: 0 }, [], null],
  ['one too many', [slot(1), slot(2), slot(3)], {}, [{ type: 'remove', slot: 3, why: 'fewer' }], null],
  ['a new slot', [slot(1), slot(2, { current: null, isNew: true })], {}, [spawn(2, 1, 'current', 'start')], null],
  [
    'a death',
    [slot(1, { current: null, backOff: { deaths: 1, notBeforeMs: 500 } }), slot(2)],
    {},
    [spawn(1, 1, 'current', 'respawn')],
    null,
  ],
  ['a crash loop waits', [slot(1, { current: null, backOff: waiting }), slot(2)], {}, [], 700],
  [
    'a worker asks to be replaced',
    [slot(1, { current: worker(1, { recycle: 'max-requests' }) }), slot(2)],
    {},
    [spawn(1, 1, 'replacement', 'max-requests')],
    null,
  ],
  [
    'two ask: one at a time',
    [1, 2].map(number => slot(number, { current: worker(1, { recycle: 'max-requests' }) })),
    {},
    [spawn(1, 1, 'replacement', 'max-requests')],
    null,
  ],
  [
    'it asks while it retires',
    [slot(1, { current: worker(1, { recycle: 'x', phase: 'stopping' }) }), slot(2)],
    {},
    [],
    null,
  ],
  [
    'its replacement keeps dying',
    [slot(1, { current: worker(1, { recycle: 'max-requests' }), backOff: waiting }), slot(2)],
    {},
    [],
    700,
  ],
  [
    'of several that ask, the oldest one is first',
    [3, 1, 2].map((workerId, index) => slot(index + 1, { current: asks(workerId) })),
    { wanted: 3 },
    [spawn(2, 1, 'replacement', 'max-requests')],
    null,
  ],
  [
    'the oldest one is first, whatever it is replaced for',
    [slot(1, { current: asks(9) }), slot(2, { current: asks(2, 'reload-on-rss') })],
    {},
    [spawn(2, 1, 'replacement', 'reload-on-rss')],
    null,
  ],
  [
    'an older one that cannot be linked is before a younger one that asks',
    [slot(1, { current: asks(9) }), slot(2, { current: worker(1, { ...unlinked, workerId: 2 }) })],
    {},
    [spawn(2, 1, 'replacement', 'link-deadline')],
    null,
  ],
  [
    'an order is before what a worker asks for',
    [slot(1, { current: asks(1) }), slot(2, { current: asks(9, 'restart-worker') })],
    {},
    [spawn(2, 1, 'replacement', 'restart-worker')],
    null,
  ],
  [
    'so is a reload',
    [slot(1, { generation: 2, current: { ...asks(1), generation: 2 } }), slot(2, { current: asks(9) })],
    reload,
    [spawn(2, 2, 'replacement', 'reload')],
    null,
  ],
  [
    'one that asked too soon waits, and the next one need not',
    [slot(1, { current: asks(1), pace: waiting }), slot(2, { current: asks(2) })],
    {},
    [spawn(2, 1, 'replacement', 'max-requests')],
    700,
  ],
  ['one that asked too soon waits', [slot(1, { current: asks(1), pace: waiting }), slot(2)], {}, [], 700],
  [
    'an order waits for no pace, nor for those that still leave',
    [slot(1, { current: asks(1, 'restart-worker'), pace: waiting, predecessors: 9 }), slot(2)],
    {},
    [spawn(1, 1, 'replacement', 'restart-worker')],
    null,
  ],
  [
    'nor does a reload',
    [slot(1, { current: asks(1), pace: waiting, predecessors: 9 }), slot(2)],
    reload,
    [spawn(1, 2, 'replacement', 'reload')],
    null,
  ],
  [
    'nor a respawn',
    [slot(1, { current: null, pace: waiting, predecessors: 9 }), slot(2)],
    {},
    [spawn(1, 1, 'current', 'respawn')],
    null,
  ],
  [
    'the end of its longest life waits for no pace',
    [slot(1, { current: asks(1, 'max-worker-lifetime'), pace: waiting }), slot(2)],
    {},
    [spawn(1, 1, 'replacement', 'max-worker-lifetime')],
    null,
  ],
  ...['max-requests', 'max-worker-lifetime', 'reload-on-rss', 'socket-gone'].map((why): (typeof cases)[number] => [
    `two of its slot still leave: ${why} waits for one of them, and no other slot does`,
    [slot(1, { current: asks(1, why), predecessors: 2 }), slot(2, { current: asks(2), predecessors: 1 })],
    {},
    [spawn(2, 1, 'replacement', 'max-requests')],
    null,
  ]),
  ['a reload begins', [slot(1), slot(2)], reload, [spawn(1, 2, 'replacement', 'reload')], null],
  [
    'a reload ignores the back-off',
    [slot(1, { backOff: waiting }), slot(2)],
    reload,
    [spawn(1, 2, 'replacement', 'reload')],
    null,
  ],
  [
    'the canary boots',
    [slot(1, { replacement: worker(2, { phase: 'booting', linked: false }) }), slot(2)],
    reload,
    [],
    null,
  ],
  [
    'the canary is not linked',
    [slot(1, { replacement: worker(2, { linked: false, lackedSinceMs: -9000, sinceMs: 400 }) }), slot(2)],
    reload,
    [],
    1400,
  ],
  [
    'the canary is never linked',
    [slot(1, { replacement: worker(2, { linked: false, lackedSinceMs: -9000, sinceMs: -500 }) }), slot(2)],
    reload,
    [{ type: 'give-up', slot: 1, why: 'link-deadline' }],
    null,
  ],
  [
    'the canary is never linked by a proxy that has just begun to accept',
    [slot(1, { replacement: worker(2, { linked: false, lackedSinceMs: 300, sinceMs: -500 }) }), slot(2)],
    reload,
    [],
    1300,
  ],
  [
    'no proxy accepts, so none could link it',
    [slot(1, { replacement: worker(2, { linked: false, sinceMs: -500 }) }), slot(2)],
    reload,
    [],
    null,
  ],
  [
    'a replacement that a worker asked for hangs: a reload goes first',
    [slot(1), slot(2, { current: asks(2), replacement: worker(1, { phase: 'booting', linked: false }) })],
    reload,
    [{ type: 'give-up', slot: 2, why: 'reload' }],
    null,
  ],
  [
    'so it does before one that is ready and not linked',
    [slot(1), slot(2, { current: asks(2), replacement: worker(1, { linked: false, sinceMs: 400 }) })],
    reload,
    [{ type: 'give-up', slot: 2, why: 'reload' }],
    null,
  ],
  [
    'one that can take over does so',
    [slot(1), slot(2, { current: asks(2), replacement: worker(1) })],
    reload,
    [{ type: 'promote', slot: 2, why: 'max-requests' }],
    null,
  ],
  [
    'a reload that has to wait for workers that leave gives nothing up',
    [slot(1), slot(2, { current: asks(2), replacement: worker(1, { phase: 'booting', linked: false }) })],
    { ...reload, leaving: 1 },
    [],
    null,
  ],
  [
    'an order goes first, too',
    [
      slot(1, { current: asks(1, 'restart-worker') }),
      slot(2, { current: asks(2), replacement: worker(1, { phase: 'booting', linked: false }) }),
    ],
    {},
    [{ type: 'give-up', slot: 2, why: 'restart-worker' }],
    null,
  ],
  [
    'an order does not go before another one',
    [
      slot(1, { current: asks(1, 'restart-worker') }),
      slot(2, {
        current: asks(2, 'restart-worker'),
        replacement: worker(1, { phase: 'booting', linked: false }),
      }),
    ],
    {},
    [],
    null,
  ],
  [
    'a slot that has lost its worker keeps its replacement',
    [
      slot(1, { current: asks(1, 'restart-worker') }),
      slot(2, { current: null, generation: 2, replacement: worker(2, { phase: 'booting', linked: false }) }),
    ],
    { target: 2, generation: 2 },
    [{ type: 'promote', slot: 2, why: 'replaced' }],
    null,
  ],
  [
    'a new proxy has not linked a worker that serves yet',
    [slot(1, { current: worker(1, { linked: false, lackedSinceMs: 300 }) }), slot(2)],
    {},
    [],
    1300,
  ],
  [
    'a new proxy cannot link a worker that serves',
    [slot(1, { current: worker(1, { linked: false, lackedSinceMs: -500, sinceMs: -600 }) }), slot(2)],
    {},
    [spawn(1, 1, 'replacement', 'link-deadline')],
    null,
  ],
  [
    'the canary is linked',
    [slot(1, { replacement: worker(2) }), slot(2)],
    reload,
    [{ type: 'promote', slot: 1, why: 'reload' }],
    null,
  ],
  [
    'the old one drains',
    [slot(1, { generation: 2, current: worker(2) }), slot(2)],
    { ...reload, leaving: 1 },
    [],
    null,
  ],
  [
    'the next one',
    [slot(1, { generation: 2, current: worker(2) }), slot(2)],
    reload,
    [spawn(2, 2, 'replacement', 'reload')],
    null,
  ],
  [
    'a death during the canary',
    [slot(1, { current: null, replacement: worker(2, { phase: 'booting' }) }), slot(2, { current: null })],
    reload,
    [spawn(1, 1, 'current', 'respawn'), spawn(2, 1, 'current', 'respawn')],
    null,
  ],
  [
    'a replacement that waits for its first request needs no link',
    [slot(1, { replacement: worker(2, { phase: 'waiting', linked: false }) }), slot(2)],
    reload,
    [{ type: 'promote', slot: 1, why: 'reload' }],
    null,
  ],
  ...(['linked', 'ready'] as const).map((hold): (typeof cases)[number] => [
    `a canary that is judged stays beside the current one: ${hold}`,
    [slot(1, { replacement: worker(2) }), slot(2)],
    { ...reload, move: { ...holding, hold } },
    [],
    null,
  ]),
  [
    'a canary that is judged keeps its place when a proxy starts anew',
    [slot(1, { replacement: worker(2, { linked: false, lackedSinceMs: -9000, sinceMs: -5000 }) }), slot(2)],
    { ...reload, move: { ...holding, hold: 'ready' } },
    [],
    null,
  ],
  [
    'a canary that no proxy links is not judged',
    [slot(1, { replacement: worker(2, { linked: false, lackedSinceMs: -9000, sinceMs: -5000 }) }), slot(2)],
    { ...reload, move: { ...holding, hold: 'linked' } },
    [{ type: 'give-up', slot: 1, why: 'link-deadline' }],
    null,
  ],
  [
    'the current worker dies beside a canary that is judged',
    [slot(1, { current: null, replacement: worker(2) }), slot(2)],
    { ...reload, move: { ...holding, hold: 'ready' } },
    [spawn(1, 1, 'current', 'respawn')],
    null,
  ],
  [
    'a canary that failed its judgement',
    [slot(1, { replacement: worker(2) }), slot(2)],
    rollback,
    [{ type: 'give-up', slot: 1, why: 'rollback' }],
    null,
  ],
  [
    'a death while its own replacement boots',
    [slot(1, { current: null, replacement: worker(1, { phase: 'booting' }) }), slot(2)],
    {},
    [{ type: 'promote', slot: 1, why: 'replaced' }],
    null,
  ],
  [
    'a rollback gives up what boots',
    [slot(1, { replacement: worker(2, { phase: 'booting' }) }), slot(2)],
    rollback,
    [{ type: 'give-up', slot: 1, why: 'rollback' }],
    null,
  ],
  [
    'a rollback moves back',
    [slot(1, { generation: 2, current: worker(2) }), slot(2)],
    rollback,
    [spawn(1, 1, 'replacement', 'rollback')],
    null,
  ],
  [
    'a rollback respects the back-off',
    [slot(1, { generation: 2, current: worker(2), backOff: waiting }), slot(2)],
    rollback,
    [],
    700,
  ],
  [
    'a dead slot of a refused generation is filled with the one before',
    [slot(1, { generation: 2, current: null }), slot(2)],
    rollback,
    [spawn(1, 1, 'current', 'rollback')],
    null,
  ],
  [
    'and in the next reload, too',
    [slot(1, { generation: 2, current: null }), slot(2)],
    { target: 3 },
    [spawn(1, 1, 'current', 'rollback')],
    null,
  ],
  [
    'but the replacement that moves it back is waited for',
    [slot(1, { generation: 2, current: null, replacement: worker(1, { phase: 'booting' }) }), slot(2)],
    rollback,
    [],
    null,
  ],
  [
    'a dead slot that a reload has moved already',
    [slot(1, { generation: 2, current: null }), slot(2, { generation: 2, current: worker(2) })],
    reload,
    [spawn(1, 2, 'current', 'respawn')],
    null,
  ],
]

for (const [title, slots, more, actions, wakeAtMs] of cases) {
  t.test(title, t => {
    const { held: _, ...plan } = reconcile(slots, desired(more))
    t.same(plan, { actions, wakeAtMs })
    t.end()
  })
}

const unended = (number: number) => ({ predecessors: number, unended: number })
const heldBack: [string, SlotView[], Partial<DesiredState>, HeldBack[]][] = [
  ['as wanted', [slot(1), slot(2)], {}, []],
  [
    'two leave',
    [slot(1, { current: asks(1), predecessors: 2 })],
    { wanted: 1 },
    [{ slot: 1, why: 'leaving', untilMs: null }],
  ],
  [
    'two do not end',
    [slot(1, { current: asks(1), ...unended(2) })],
    { wanted: 1 },
    [{ slot: 1, why: 'unended', untilMs: null }],
  ],
  [
    'an empty slot of which two do not end',
    [slot(1, { current: null, ...unended(2) })],
    { wanted: 1 },
    [{ slot: 1, why: 'unended', untilMs: null }],
  ],
  ['one of which one does not', [slot(1, { current: null, ...unended(1) })], { wanted: 1 }, []],
  ['a reload fills it all the same', [slot(1, { current: null, ...unended(2) })], { wanted: 1, ...reload }, []],
  [
    'they ask too soon',
    [slot(1, { current: asks(1), pace: waiting })],
    { wanted: 1 },
    [{ slot: 1, why: 'pace', untilMs: 700 }],
  ],
]
for (const [title, slots, more, expected] of heldBack) {
  t.test(`held back: ${title}`, async t => {
    t.same(reconcile(slots, desired(more)).held, expected)
  })
}
