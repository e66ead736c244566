/** How long a client may keep us waiting: the patience with a body, with the reader of an answer, and with what comes behind the last one. */

import t from 'tap'
import { BodyPace, LINGER_MOST_MS, LINGER_MS, LingerPace, SendPace } from '../../../proxy/client/deadlines.js'

const LIMITS = { httpBodyTimeoutMs: 10_000, httpBodyMinRateBytesPerSecond: 100 }

/** When it is given up, and why, if each second so many bytes come; `paused` seconds are the application's. */
function verdict(
  perSecond: (second: number) => number,
  limits = LIMITS,
  paused: (second: number) => boolean = () => false,
) {
  const pace = new BodyPace(0, 0)
  let bytes = 0
  for (let second = 1; second <= 1000; second++) {
    bytes += perSecond(second)
    const slowness = pace.look(second * 1000, bytes, !paused(second), limits)
    if (slowness !== null) return `${slowness} after ${second}`
  }
  return 'never'
}

t.test('a body', async t => {
  const cases: [title: string, expected: string, perSecond: (second: number) => number, limits?: typeof LIMITS][] = [
    ['nothing', 'body-stalled after 11', () => 0],
    ['as fast as it must be', 'never', () => 100],
    ['a byte now and then', 'body-too-slow after 11', () => 1],
    ['half as fast', 'body-too-slow after 21', () => 50],
    ['a pause of as long as allowed', 'never', second => (second % 11 === 0 ? 1100 : 0)],
    ['a pause that is too long, after much', 'body-stalled after 16', second => (second <= 5 ? 1e6 : 0)],
    ['much at first buys no trickle', 'body-too-slow after 16', second => (second <= 5 ? 1e6 : 1)],
    ['no rate: a byte now and then', 'never', () => 1, { ...LIMITS, httpBodyMinRateBytesPerSecond: 0 }],
    ['no rate: nothing', 'body-stalled after 11', () => 0, { ...LIMITS, httpBodyMinRateBytesPerSecond: 0 }],
    ['no deadline', 'never', () => 0, { ...LIMITS, httpBodyTimeoutMs: 0 }],
  ]
  for (const [title, expected, perSecond, limits] of cases) t.equal(verdict(perSecond, limits), expected, title)
})

t.test('time in which the application does not read is not the client’s', async t => {
  t.equal(
    verdict(
      () => 0,
      LIMITS,
      () => true,
    ),
    'never',
  )
  t.equal(
    verdict(
      () => 0,
      LIMITS,
      second => second <= 100,
    ),
    'body-stalled after 111',
  )
})

t.test('a body that is looked at late', async t => {
  const pace = new BodyPace(50_000, 700)
  t.equal(pace.look(59_000, 700, true, LIMITS), null, 'what was before counts for nothing')
  t.equal(pace.look(60_500, 700, true, LIMITS), 'body-stalled')
})

t.test('the reader of an answer', async t => {
  const pace = new SendPace(0, 5)
  t.equal(pace.isStuck(1000, 5, 1000), false)
  t.equal(pace.isStuck(1001, 5, 1000), true)
  t.equal(pace.isStuck(1002, 4, 1000), false, 'any change is progress')
  t.equal(pace.isStuck(2002, 4, 1000), false)
  t.equal(pace.isStuck(2003, 4, 1000), true)
  t.equal(pace.isStuck(1e9, 4, 0), false, 'no deadline')
})

t.test('what comes behind the last answer', async t => {
  const silent = new LingerPace(1000)
  t.equal(silent.hasExpired(1000 + LINGER_MS, 0), false)
  t.equal(silent.hasExpired(1001 + LINGER_MS, 0), true, 'nothing comes')

  const sending = new LingerPace(1000)
  let now = 1000
  for (let bytes = 1; now < 1000 + LINGER_MOST_MS - LINGER_MS; bytes++) {
    now += LINGER_MS
    if (sending.hasExpired(now, bytes)) t.fail(`after ${now - 1000} ms`)
  }
  t.equal(sending.hasExpired(now, 1_000_000_000), false, 'however much comes')
  t.equal(sending.hasExpired(1001 + LINGER_MOST_MS, 2_000_000_000), true, 'but not for ever')
})
