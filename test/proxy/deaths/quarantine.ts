/** Which requests are held back, in simulated time; above all, which are not. */

import t from 'tap'
import type { WorkerEnd } from '../../../kit/channel/messages.js'
import { Quarantine } from '../../../proxy/deaths/quarantine.js'

const RULES = { quarantineDeaths: 3, quarantineWindowMs: 60_000, quarantineTimeMs: 10_000 }

function open(rules = RULES) {
  const held: string[] = []
  const quarantine = new Quarantine(rules, (title, deaths) => held.push(`${title} ${deaths}`))
  let workerId = 0
  /** A worker dies with these, and the master says how. */
  const die = (titles: string[], end: WorkerEnd, now: number) => {
    workerId += 1
    quarantine.died(workerId, titles, null, now)
    quarantine.gone(workerId, end, now)
  }
  return { quarantine, held, die }
}

t.test('alone at three crashes', async t => {
  const { quarantine, held, die } = open()
  t.ok(quarantine.isIdle)
  die(['GET /die'], 'crashed', 0)
  die(['GET /die'], 'crashed', 100)
  t.equal(quarantine.holdSeconds('GET /die', 100), 0)
  t.same(held, [])
  die(['GET /die'], 'crashed', 200)
  t.same(held, ['GET /die 3'])
  t.equal(quarantine.holdSeconds('GET /die', 200), 10)
  t.equal(quarantine.holdSeconds('GET /die', 9300), 1)
  t.equal(quarantine.holdSeconds('POST /die', 200), 0, 'another method is another request')
  t.equal(quarantine.holdSeconds('GET /die', 10_200), 0, 'for its time')
  die(['GET /die'], 'crashed', 10_300)
  t.equal(quarantine.holdSeconds('GET /die', 10_300), 10, 'one more death is enough then')
})

t.test('the neighbours are answered, the guilty one is left', async t => {
  const { quarantine, held, die } = open()
  for (const now of [0, 100, 200]) {
    die(['GET /a', `GET /item/${now}`, 'GET /die'], 'crashed', now)
    t.same(held, [], 'in company nobody is condemned')
    quarantine.responded('GET /a', now + 10)
    quarantine.responded(`GET /item/${now}`, now + 20)
  }
  t.same(held, ['GET /die 3'], 'but the last suspect is')
  t.equal(quarantine.holdSeconds('GET /a', 220), 0)
})

t.test('who is not held back', async t => {
  const cases: [title: string, act: (rig: ReturnType<typeof open>) => void][] = [
    [
      'one that workers answer in between',
      ({ quarantine, die }) => {
        for (let now = 0; now < 20; now++) {
          die(['GET /'], 'crashed', now)
          if (now % 2 === 1) quarantine.responded('GET /', now)
        }
      },
    ],
    [
      'one whose workers somebody kills',
      ({ die }) => {
        for (let now = 0; now < 20; now++) die(['GET /'], 'killed', now)
      },
    ],
    [
      'one whose workers the master ends',
      ({ die }) => {
        for (let now = 0; now < 20; now++) die(['GET /'], 'asked', now)
      },
    ],
    [
      'two that are always together',
      ({ die }) => {
        for (let now = 0; now < 20; now++) die(['GET /', 'GET /b'], 'crashed', now)
      },
    ],
    [
      'one at deaths long apart',
      ({ die }) => {
        for (let now = 0; now < 20; now++) die(['GET /'], 'crashed', now * 30_001)
      },
    ],
    [
      'one whose links broke',
      ({ quarantine }) => {
        for (let now = 0; now < 20; now++) quarantine.died(now, ['GET /'], null, now)
      },
    ],
    [
      'one among too many',
      ({ die }) => {
        const crowd = Array.from({ length: 300 }, (_, index) => `GET /${index}`)
        for (let now = 0; now < 20; now++) die(['GET /', ...crowd], 'crashed', now)
      },
    ],
  ]
  for (const [title, act] of cases) {
    const rig = open()
    act(rig)
    t.same(rig.held, [], title)
    t.equal(rig.quarantine.holdSeconds('GET /', 19), 0, title)
  }
})

t.test('the one that blocks the loop, also in company', async t => {
  const { quarantine, held } = open()
  for (const workerId of [1, 2, 3]) {
    quarantine.blocked(workerId, 'GET /burn', workerId)
    quarantine.died(workerId, ['GET /a'], null, workerId)
    quarantine.gone(workerId, 'asked', workerId)
  }
  t.same(held, ['GET /burn 3'])
})

t.test('the master may speak first', async t => {
  const { quarantine, held } = open({ ...RULES, quarantineDeaths: 1 })
  quarantine.died(1, ['GET /a'], 'killed', 0)
  t.same(held, [])
  quarantine.died(2, ['GET /a'], 'crashed', 0)
  t.same(held, ['GET /a 1'])
})

t.test('turned off, and without anything in flight', async t => {
  const off = open({ ...RULES, quarantineDeaths: 0 })
  for (let now = 0; now < 20; now++) off.die(['GET /die'], 'crashed', now)
  t.ok(off.quarantine.isIdle)
  const { quarantine, die } = open()
  die([], 'crashed', 0)
  t.ok(quarantine.isIdle)
})

t.test('is bounded, and keeps no long path', async t => {
  const { quarantine, held, die } = open({ ...RULES, quarantineDeaths: 1 })
  const secret = `GET /reset/${'s'.repeat(1000)}`
  die([secret], 'crashed', 0)
  t.match(held, [/^GET sha256:[0-9a-f]{64} 1$/])
  t.equal(quarantine.holdSeconds(secret, 0), 10, 'it is known again all the same')
  for (let index = 0; index < 2000; index++) die([`GET /${index}`], 'crashed', 1)
  t.equal(quarantine.holdSeconds(secret, 1), 0, 'the oldest make way')
  t.equal(quarantine.holdSeconds('GET /1999', 1), 10)
})
