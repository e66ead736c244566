/** The steps of a reload: `supervisor/reload/reload.ts`. The reloads of a real tree are in `master-reload.ts`. */

import t from 'tap'
import { nextReloadStep, type ReloadFacts } from '../../../supervisor/reload/reload.js'

const facts = (more: Partial<ReloadFacts>): ReloadFacts => ({
  phase: 'canary',
  failure: null,
  isStatic: false,
  hasCanary: false,
  mustSoak: false,
  isSoaked: true,
  inPlace: 0,
  wanted: 2,
  slots: 2,
  moved: 0,
  leaving: 0,
  isInForce: true,
  ...more,
})
const failure = { slot: 1, generation: 2, reason: 'no', lines: [], arePrinted: true }
const rolled = { phase: 'rolling', inPlace: 2, moved: 2 } as const

const cases: [string, Partial<ReloadFacts>, ReturnType<typeof nextReloadStep>][] = [
  ['the canary boots', {}, 'wait'],
  ['the canary took a slot, but does not serve', { moved: 1 }, 'wait'],
  ['the canary serves', { hasCanary: true }, 'commit'],
  ['the canary serves and must soak', { hasCanary: true, mustSoak: true }, 'soak'],
  ['it soaks', { phase: 'soaking', hasCanary: true, mustSoak: true, isSoaked: false }, 'wait'],
  ['it soaked', { phase: 'soaking', hasCanary: true, mustSoak: true }, 'commit'],
  ['it was taken away while it soaked', { phase: 'soaking', mustSoak: true, isSoaked: false }, 'seek'],
  ['it failed while it soaked', { phase: 'soaking', hasCanary: true, isSoaked: false, failure }, 'roll-back'],
  ['nothing to prove', { isStatic: true, wanted: 0, slots: 0 }, 'commit'],
  ['the canary failed', { failure }, 'roll-back'],
  ['a later one failed', { ...rolled, inPlace: 1, failure }, 'roll-back'],
  ['half way', { ...rolled, inPlace: 1, moved: 1 }, 'wait'],
  ['the last old one drains', { ...rolled, leaving: 1 }, 'wait'],
  ['all serve', rolled, 'finish'],
  ['a proxy still goes by the old settings', { ...rolled, isInForce: false }, 'wait'],
  ['more are wanted now', { ...rolled, wanted: 3 }, 'wait'],
  ['more were added, one boots', { ...rolled, wanted: 3, slots: 3, moved: 3 }, 'wait'],
  ['fewer are wanted now', { ...rolled, wanted: 1 }, 'wait'],
  ['no worker is wanted any more', { phase: 'rolling', isStatic: true, wanted: 0, slots: 0 }, 'finish'],
]
for (const [title, more, expected] of cases) {
  t.test(title, t => {
    t.equal(nextReloadStep(facts(more)), expected)
    t.end()
  })
}
