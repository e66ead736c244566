/** How many workers the load calls for: `supervisor/workers/cheaper.ts`. */

import t from 'tap'
import { CHEAPER_ALGORITHMS } from '../../../kit/options/values/value-types.js'
import {
  type CheaperFacts,
  type CheaperSettings,
  newCheaperMemory,
  nextWanted,
  workersAtFirst,
} from '../../../supervisor/workers/cheaper.js'
import { randomNumbers } from '../fixtures/random-numbers.js'
import { DEFAULTS } from '../fixtures/tree.js'

const settings = (more: Partial<CheaperSettings> = {}) => ({
  ...DEFAULTS,
  processes: 8,
  cheaper: 2,
  cheaperOverloadMs: 3000,
  cheaperIdleMs: 5000,
  ...more,
})

/** Four of eight workers serve, half of them busy: nothing calls for a change. */
const facts = (more: Partial<CheaperFacts> = {}): CheaperFacts => ({
  wanted: 4,
  most: 8,
  serving: 4,
  busy: 3,
  busyness: 40,
  queued: 0,
  inFlight: 40,
  room: 10,
  rssBytes: 100,
  isSettling: false,
  ...more,
})

/** Looks until the number changes, at most 100 times: after how many looks, to what and why. */
function firstChange(seen: Partial<CheaperFacts>, more: Partial<CheaperSettings>): [number, number, string] | null {
  const chosen = settings(more)
  let memory = newCheaperMemory(chosen)
  for (let look = 1; look <= 100; look++) {
    const step = nextWanted(facts(seen), memory, chosen)
    if (step.why !== null) return [look, step.wanted, step.why]
    memory = step.memory
  }
  return null
}

const busyness = { cheaperAlgo: 'busyness' as const, cheaperBusynessMultiplier: 4 }
const cases: [string, Partial<CheaperFacts>, Partial<CheaperSettings>, [number, number, string] | null][] = [
  ['spare: one is free', {}, {}, null],
  ['spare: nobody is free', { busy: 4 }, {}, [3, 5, 'spare']],
  ['spare: three at a time', { busy: 4 }, { cheaperStep: 3 }, [3, 7, 'spare']],
  ['spare: no more than there may be', { busy: 4 }, { cheaperStep: 30 }, [3, 8, 'spare']],
  ['spare: all are there', { wanted: 8, serving: 8, busy: 8 }, {}, null],
  ['spare: two are free', { busy: 2 }, {}, [5, 3, 'spare']],
  ['spare: no fewer than there must be', { wanted: 2, serving: 2, busy: 0 }, {}, null],
  ['spare: nobody serves', { serving: 0, busy: 0 }, {}, null],
  ['spare: others still start', { busy: 4, isSettling: true }, {}, null],
  ['queue: nobody waits', { inFlight: 30 }, { cheaperAlgo: 'queue' }, null],
  ['queue: some wait', { queued: 1 }, { cheaperAlgo: 'queue' }, [3, 5, 'queue']],
  ['queue: three could do it half asleep', { inFlight: 15 }, { cheaperAlgo: 'queue' }, [5, 3, 'queue']],
  ['queue: three could do it, hardly', { inFlight: 16 }, { cheaperAlgo: 'queue' }, null],
  ['busyness: as it should be', {}, busyness, null],
  ['busyness: too much for a cycle', { busyness: 51 }, busyness, [3, 5, 'busyness']],
  ['busyness: too little for four cycles', { busyness: 24 }, busyness, [12, 3, 'busyness']],
  [
    'busyness: too little, but too much for fewer',
    { wanted: 3, serving: 3, busyness: 40 },
    { ...busyness, cheaperBusynessMin: 45 },
    null,
  ],
  ['manual', { busy: 4, queued: 9, busyness: 99 }, { cheaperAlgo: 'manual' }, null],
  ['too much memory to add one', { busy: 4 }, { cheaperRssLimitSoftBytes: 99 }, null],
  ['memory enough to add one', { busy: 4 }, { cheaperRssLimitSoftBytes: 100 }, [3, 5, 'spare']],
  ['too much memory for all', { busy: 4 }, { cheaperRssLimitHardBytes: 99 }, [1, 3, 'rss-limit-hard']],
  ['too much memory for all, but one leaves', { isSettling: true }, { cheaperRssLimitHardBytes: 99 }, null],
  [
    'too much memory for the least',
    { wanted: 2, serving: 2 },
    { cheaperRssLimitHardBytes: 99, cheaperAlgo: 'manual' },
    null,
  ],
  ['fewer than there must be', { wanted: 1 }, {}, [1, 2, 'bounds']],
  ['more than there may be', { wanted: 9 }, {}, [1, 8, 'bounds']],
  ['fewer may be than must', { wanted: 4, most: 1 }, {}, [1, 1, 'bounds']],
]

for (const [title, seen, more, expected] of cases) {
  t.test(title, t => {
    t.same(firstChange(seen, more), expected)
    t.end()
  })
}

t.test('a load that comes and goes at each look changes nothing', t => {
  for (const cheaperAlgo of CHEAPER_ALGORITHMS) {
    const chosen = settings({ cheaperAlgo })
    let memory = newCheaperMemory(chosen)
    for (let look = 0; look < 100; look++) {
      const isMuch = look % 2 === 0
      const seen = isMuch ? { busy: 4, queued: 5, busyness: 60 } : { busy: 0, inFlight: 0, busyness: 20 }
      const step = nextWanted(facts(seen), memory, chosen)
      t.equal(step.why, null, cheaperAlgo)
      memory = step.memory
    }
  }
  t.end()
})

t.test('a worker that was missed at once waits longer the next time', t => {
  const chosen = settings({ ...busyness, cheaperOverloadMs: 1000 })
  const run = (percents: number[]) => {
    let memory = newCheaperMemory(chosen)
    const changes: number[] = []
    percents.forEach((percent, look) => {
      const step = nextWanted(facts({ busyness: percent }), memory, chosen)
      if (step.why !== null) changes.push(look)
      memory = step.memory
    })
    return changes
  }
  const little = new Array<number>(10).fill(10)
  t.same(run([...little.slice(0, 4), 60, ...little]), [3, 4, 10], 'four cycles, then six')
  t.same(run([...little.slice(0, 4), 30, 30, 30, 30, 60, ...little.slice(0, 6)]), [3, 8, 12], 'four again after a rest')
  t.end()
})

t.test('at first', t => {
  t.equal(workersAtFirst({ ...DEFAULTS, processes: 8 }), 8)
  t.equal(workersAtFirst(settings()), 2)
  t.equal(workersAtFirst(settings({ cheaperInitial: 5 })), 5)
  t.equal(workersAtFirst(settings({ cheaperInitial: 50 })), 8)
  t.end()
})

t.test('whatever is seen: within the bounds, one step at a time, and never to and fro', t => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomNumbers(seed)
    const least = 1 + random(4)
    const most = least + random(8)
    const cheaperAlgo = CHEAPER_ALGORITHMS[random(CHEAPER_ALGORITHMS.length)]!
    const chosen = settings({
      cheaperAlgo,
      cheaper: least,
      cheaperStep: 1 + random(3),
      cheaperRssLimitHardBytes: random(2) * 150,
      ...busynessOf(random),
    })
    let memory = newCheaperMemory(chosen)
    let wanted = least + random(most - least + 1)
    let lastLook = Number.NEGATIVE_INFINITY
    let lastWay = 0
    for (let look = 0; look < 400; look++) {
      const seen = { wanted, most, serving: wanted, busy: random(wanted + 1), busyness: random(101) }
      const more = { queued: random(3), inFlight: random(20), rssBytes: random(200), isSettling: random(5) === 0 }
      const step = nextWanted(facts({ ...seen, ...more }), memory, chosen)
      const way = Math.sign(step.wanted - wanted)
      if (step.wanted < least || step.wanted > most) t.fail(`seed ${seed}: ${step.wanted} of ${least} to ${most}`)
      if (step.wanted - wanted > chosen.cheaperStep || step.wanted - wanted < -1) t.fail(`seed ${seed}: a leap`)
      if (way !== 0 && more.isSettling) t.fail(`seed ${seed}: a change while others go on`)
      if (way === 1 && lastWay === -1 && look - lastLook < chosen.cheaperOverloadMs / 1000)
        t.fail(`seed ${seed}: to and fro`)
      if (way === -1 && lastWay === 1 && step.why !== 'rss-limit-hard') {
        const least = cheaperAlgo === 'busyness' ? chosen.cheaperBusynessMultiplier : chosen.cheaperIdleMs / 1000
        if (look - lastLook < least) t.fail(`seed ${seed}: fro and to`)
      }
      if (way !== 0) [lastLook, lastWay] = [look, way]
      ;({ wanted, memory } = step)
    }
  }
  t.pass('60 runs of 400 looks')
  t.end()
})

function busynessOf(random: (below: number) => number): Partial<CheaperSettings> {
  const min = random(50)
  return {
    cheaperBusynessMin: min,
    cheaperBusynessMax: min + 1 + random(50),
    cheaperBusynessMultiplier: 1 + random(5),
    cheaperBusynessPenalty: random(3),
  }
}
