/** The clock of requests, in simulated time: who is late, whose worker is blocked, and when that is said. */

import t from 'tap'
import type { StackReport } from '../../../kit/link/stack-report.js'
import { type ClockRules, HarakiriClock } from '../../../proxy/deaths/harakiri.js'
import type { Exchange } from '../../../proxy/exchange/exchange.js'
import type { Link } from '../../../proxy/link/link.js'

const SWEEP_MS = 100
const HARAKIRI_MS = 3000
const RULES: ClockRules = { harakiriMs: HARAKIRI_MS, mountHarakiri: [], harakiriQueueThreshold: 0 }

/** A link whose worker's loop turns, or not, as the test says. */
class FakeLink {
  readonly exchanges: Exchange[] = []
  open = true
  retiring = false
  condemned = false
  tunnels = 0
  pingSentMs = 0
  lastPongMs = 0
  pings = 0
  readonly worker = { linkPath: '/nowhere/1.link' }
  /** What its watchdog says. */
  stuckTitle = ''

  get inFlight(): number {
    return this.exchanges.length
  }

  get stuck(): Exchange | null {
    return this.exchanges.find(({ title }) => title === this.stuckTitle) ?? null
  }

  ping(now: number): void {
    this.pingSentMs = now
    this.pings += 1
  }

  pong(now: number): void {
    if (this.pingSentMs === 0) return
    this.lastPongMs = now
    this.pingSentMs = 0
  }

  add(title: string, dispatchMs: number, deadlineMs = dispatchMs + HARAKIRI_MS): void {
    this.exchanges.push({ title, dispatchMs, deadlineMs, ownHarakiriMs: null, path: '/' } as Exchange)
  }
}

interface Told {
  what: 'expired' | 'blocked' | 'asked' | 'cancelled'
  title: string
  atMs: number
}

const REPORT: StackReport = { frames: [{ name: 'f', place: 'a.js:1' }], why: '' }

const answerAtOnce = () => ({ report: REPORT, cancel: () => {} })

/** Sweeps from 0 to `untilMs`; `turns` says whether the loop of that link turns at that time. */
function run(
  links: FakeLink[],
  untilMs: number,
  turns: (link: FakeLink, now: number) => boolean,
  harakiriMs = HARAKIRI_MS,
) {
  const told: Told[] = []
  let atMs = 0
  const events = {
    expired: (exchange: Exchange) => {
      told.push({ what: 'expired', title: exchange.title, atMs })
      for (const link of links)
        if (link.exchanges.includes(exchange)) link.exchanges.splice(link.exchanges.indexOf(exchange), 1)
    },
    blocked: (link: Link, title: string) => {
      told.push({ what: 'blocked', title, atMs })
      link.condemned = true
    },
  }
  const clock = new HarakiriClock(events, events, answerAtOnce)
  for (atMs = 1; atMs <= untilMs; atMs += SWEEP_MS) {
    clock.sweep(links as unknown as Link[], { ...RULES, harakiriMs }, 0, atMs)
    for (const link of links) if (turns(link, atMs)) link.pong(atMs + 1)
  }
  return told
}

t.test('one that waits for ever gets its 504 at the next sweep, and its worker lives', async t => {
  const link = new FakeLink()
  link.add('GET /slow', 0)
  const told = run([link], 10_000, () => true)
  t.match(told, [{ what: 'expired', title: 'GET /slow' }])
  t.equal(told.length, 1)
  t.ok((told[0]?.atMs ?? 0) - HARAKIRI_MS <= SWEEP_MS)
})

t.test('many at once are all on time', async t => {
  for (const spacingMs of [0, 1, 7]) {
    const link = new FakeLink()
    for (let index = 0; index < 200; index++) link.add(`GET /${index}`, index * spacingMs)
    const deadlines = new Map(link.exchanges.map(each => [each.title, each.deadlineMs]))
    const told = run([link], 10_000, () => true)
    t.equal(told.length, 200)
    t.ok(
      told.every(each => each.what === 'expired'),
      'nobody is blocked',
    )
    const latest = Math.max(...told.map(each => each.atMs - (deadlines.get(each.title) ?? 0)))
    t.ok(latest <= 4 * SWEEP_MS, `${spacingMs} ms apart: at most ${latest} ms late`)
  }
})

t.test('a blocked loop: one 504, then the verdict; the neighbours are left to be rescued', async t => {
  for (let phase = 0; phase < SWEEP_MS; phase += 10) {
    const link = new FakeLink()
    link.add('GET /burn', phase)
    link.add('GET /innocent', phase + 5)
    link.add('GET /innocent2', phase + 300)
    const told = run([link], 10_000, (_, now) => now < 500)
    t.match(told, [
      { what: 'expired', title: 'GET /burn' },
      { what: 'blocked', title: 'GET /burn' },
    ])
    t.equal(told.length, 2, 'and nobody else')
    t.ok((told[1]?.atMs ?? 0) - (told[0]?.atMs ?? 0) <= 600, 'within 600 ms after the 504')
    t.ok((told[1]?.atMs ?? 0) - HARAKIRI_MS - phase <= 700, 'and 700 ms after the deadline')
  }
})

t.test('the one that the watchdog names is guilty, wherever it stands', async t => {
  const link = new FakeLink()
  for (const title of ['GET /1', 'GET /2', 'GET /burn', 'GET /3']) link.add(title, 0)
  link.stuckTitle = 'GET /burn'
  t.match(
    run([link], 10_000, () => false),
    [
      { what: 'expired', title: 'GET /burn' },
      { what: 'blocked', title: 'GET /burn' },
    ],
  )
  t.equal(link.exchanges.length, 3, 'the others are left to be rescued')
})

t.test('a loop blocked by one that has time still gets it, whoever else is late', async t => {
  const link = new FakeLink()
  link.add('GET /slow', 0)
  link.add('GET /burn', 2000)
  link.stuckTitle = 'GET /burn'
  const told = run([link], 10_000, (_, now) => now < 2000)
  t.match(told, [
    { what: 'expired', title: 'GET /slow' },
    { what: 'expired', title: 'GET /burn' },
    { what: 'blocked', title: 'GET /burn' },
  ])
  t.ok((told[1]?.atMs ?? 0) >= 5000, 'its own deadline')
})

t.test('only the worker whose loop is blocked is condemned', async t => {
  const [blocked, well] = [new FakeLink(), new FakeLink()]
  blocked.add('GET /burn', 0)
  well.add('GET /slow', 0)
  const told = run([blocked, well], 10_000, link => link === well)
  t.same(
    told.map(each => `${each.what} ${each.title}`),
    ['expired GET /burn', 'expired GET /slow', 'blocked GET /burn'],
  )
})

t.test('a loop that is late but turns again is not condemned', async t => {
  const link = new FakeLink()
  link.add('GET /slow', 0)
  link.add('GET /slow2', 0)
  const told = run([link], 10_000, (_, now) => now < 2900 || now > 3400)
  t.same(
    told.map(each => `${each.what} ${each.title}`),
    ['expired GET /slow', 'expired GET /slow2'],
  )
})

t.test('a blocked loop is found though no request has a deadline', async t => {
  const cases: [title: string, prepare: (link: FakeLink) => void, expected: RegExp][] = [
    ['answers under way', link => link.add('GET /stream', 0, 0), /^GET \/stream$/],
    [
      'WebSockets alone',
      link => {
        link.tunnels = 1
      },
      /^-$/,
    ],
    ['nothing at all: a timer', () => {}, /^-$/],
    [
      'nothing at all, while it retires',
      link => {
        link.open = false
        link.retiring = true
      },
      /^-$/,
    ],
  ]
  for (const [title, prepare, expected] of cases) {
    const link = new FakeLink()
    prepare(link)
    const told = run([link], 10_000, (_, now) => now < 1000)
    t.match(told, [{ what: 'blocked', title: expected }], title)
    t.equal(told.length, 1, title)
  }
})

t.test('what is not judged', async t => {
  const cases: [title: string, prepare: (link: FakeLink) => void, harakiriMs: number][] = [
    ['no harakiri', link => link.add('GET /', 0, 0), 0],
    ['no clock running', link => link.add('GET /', 0, 0), HARAKIRI_MS],
    [
      'not linked yet',
      link => {
        link.open = false
      },
      HARAKIRI_MS,
    ],
    [
      'condemned already',
      link => {
        link.add('GET /', 0)
        link.condemned = true
      },
      HARAKIRI_MS,
    ],
  ]
  for (const [title, prepare, harakiriMs] of cases) {
    const link = new FakeLink()
    prepare(link)
    t.same(
      run([link], 10_000, () => title === 'no clock running', harakiriMs),
      [],
      title,
    )
  }
})

t.test('a forgotten link leaves no suspicion to its successor', async t => {
  const link = new FakeLink()
  link.add('GET /burn', 0)
  const told: string[] = []
  const events = { expired: () => void told.push('expired'), blocked: () => void told.push('blocked') }
  const clock = new HarakiriClock(events, events, answerAtOnce)
  clock.sweep([link] as unknown as Link[], RULES, 0, 3001)
  link.exchanges.length = 0
  clock.forget(link as unknown as Link)
  for (let now = 3101; now < 9000; now += SWEEP_MS) {
    // As a new worker, that has not been asked before.
    link.pong(now)
    link.lastPongMs = 0
    clock.sweep([link] as unknown as Link[], RULES, 0, now)
  }
  t.same(told, ['expired'])
})

t.test('busy links are pinged often, idle ones seldom', async t => {
  const [busy, idle, tunnelled] = [new FakeLink(), new FakeLink(), new FakeLink()]
  busy.add('GET /', 0, 0)
  tunnelled.tunnels = 1
  run([busy, idle, tunnelled], 2000, () => true)
  t.ok(idle.pings >= 1 && idle.pings <= 2, `${idle.pings} pings in 2 s`)
  for (const link of [busy, tunnelled]) t.ok(link.pings >= 4 && link.pings <= 9, `${link.pings} pings in 2 s`)
})

t.test(
  'where the loop is, is asked only of one that left its ping unanswered, and waited for within bounds',
  async t => {
    const cases: [title: string, answersMs: number, turnsAgainMs: number, expected: [string, number][]][] = [
      [
        'an answer at once',
        0,
        Infinity,
        [
          ['asked', 3000],
          ['blocked f', 3600],
        ],
      ],
      [
        'a late answer',
        700,
        Infinity,
        [
          ['asked', 3000],
          ['blocked f', 3700],
        ],
      ],
      [
        'none',
        Infinity,
        Infinity,
        [
          ['asked', 3000],
          ['blocked none', 3800],
        ],
      ],
      [
        'a false alarm',
        200,
        3400,
        [
          ['asked', 3000],
          ['cancelled', 3500],
        ],
      ],
      ['one that only waits', 0, 0, []],
    ]
    for (const [title, answersMs, turnsAgainMs, expected] of cases) {
      const link = new FakeLink()
      link.add('GET /burn', 0)
      const told: [string, number][] = []
      let now = 0
      const events = {
        expired: () => link.exchanges.splice(0),
        blocked: (_link: Link, _guilty: string, _elapsedMs: number, _isKnown: boolean, stack: StackReport) => {
          link.condemned = true
          told.push([`blocked ${stack.frames[0]?.name ?? 'none'}`, now])
        },
      }
      const ask = (path: string) => {
        t.equal(path, '/nowhere/1.link')
        const askedMs = now
        told.push(['asked', now])
        return {
          get report() {
            return now - askedMs >= answersMs ? REPORT : null
          },
          cancel: () => void (link.condemned || told.push(['cancelled', now])),
        }
      }
      const clock = new HarakiriClock(events, events, ask)
      for (now = 0; now < 6000; now += SWEEP_MS) {
        if (now < 2500 || now > turnsAgainMs) link.pong(now)
        clock.sweep([link] as unknown as Link[], RULES, 0, now)
      }
      const withoutCancel = told.filter(([what]) => what !== 'cancelled' || title === 'a false alarm')
      t.same(withoutCancel, expected, title)
    }
  },
)

t.test('a loop that is blocked by one that may, is not condemned for its silence', async t => {
  const mountHarakiri = [{ mount: '/free/', ms: 0 }]
  const cases: [title: string, stuckTitle: string, deadlineMs: number, path: string, isCondemned: boolean][] = [
    ['one that has time', 'GET /it', 60_000, '/', false],
    ['not known to be the one, but it has time', '', 60_000, '/', false],
    ['one without a deadline', 'GET /it', 0, '/free/x', false],
    ['not known to be the one, and nobody waits for ever', '', 0, '/free/x', true],
    ['one that is answered already', 'GET /it', 0, '/', true],
  ]
  for (const [title, stuckTitle, deadlineMs, path, isCondemned] of cases) {
    const link = new FakeLink()
    link.add('GET /it', 0, deadlineMs)
    link.stuckTitle = stuckTitle
    Object.assign(link.exchanges[0] ?? {}, { path })
    const told: string[] = []
    const events = { expired: () => void told.push('expired'), blocked: () => void told.push('blocked') }
    const clock = new HarakiriClock(events, events, answerAtOnce)
    for (let now = 1; now < 10_000; now += SWEEP_MS)
      clock.sweep([link] as unknown as Link[], { ...RULES, mountHarakiri }, 0, now)
    t.equal(told.includes('blocked'), isCondemned, title)
  }
})

t.test('below the threshold of the queue nobody is late', async t => {
  const link = new FakeLink()
  link.add('GET /slow', 0)
  const told: string[] = []
  const events = { expired: () => void told.push('expired'), blocked: () => void told.push('blocked') }
  const clock = new HarakiriClock(events, events, answerAtOnce)
  const sweep = (queued: number, now: number) =>
    clock.sweep([link] as unknown as Link[], { ...RULES, harakiriQueueThreshold: 3 }, queued, now)
  for (let now = 1; now < 9000; now += SWEEP_MS) sweep(2, now)
  t.same(told, [])
  sweep(3, 9000)
  t.same(told, ['expired'])
  for (let now = 9100; now < 9900; now += SWEEP_MS) sweep(0, now)
  t.same(told, ['expired', 'blocked'], 'what has begun is brought to its end')
})
