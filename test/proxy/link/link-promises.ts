/** What a worker may send, exactly: the last that is within its promises, and the first that is not. */

import t from 'tap'
import { ASIDES_PER_PING, LEAST_CREDIT_BYTES, LINK_VERSION, WINDOW_BYTES } from '../../../kit/link/frames.js'
import { LinkPromises, takeCredit, takeResponseBytes, wordsIn } from '../../../proxy/link/link-promises.js'

const BREACH = { name: 'LinkBreach' }

const fresh = { unacknowledgedCredit: 0, bodyWindow: WINDOW_BYTES }

/** Told of the ids from 1 to `count`; `unsafe` are those that must not be sent twice. */
function promisesOf(count: number, unsafe: number[] = [], lastId = 0): LinkPromises {
  const promises = new LinkPromises(lastId)
  for (let id = 1; id <= count; id++) promises.sent((lastId + id) >>> 0, unsafe.includes(id))
  return promises
}

function asideOften(promises: LinkPromises, count: number): void {
  for (let done = 0; done < count; done++) promises.aside(1)
}

t.test('an answer has its window, and the window what was returned of it', async t => {
  const exchange = { unacknowledgedCredit: 0 }
  takeResponseBytes(exchange, WINDOW_BYTES - 1)
  takeResponseBytes(exchange, 1)
  exchange.unacknowledgedCredit -= 10
  takeResponseBytes(exchange, 10)
  t.throws(() => takeResponseBytes(exchange, 1), BREACH)
})

t.test('credit is for what was sent', async t => {
  const cases: [title: string, bodyWindow: number, bytes: number, isFine: boolean][] = [
    ['all of it', 0, WINDOW_BYTES, true],
    ['one byte more', 0, WINDOW_BYTES + 1, false],
    ['of nothing', WINDOW_BYTES, 1, false],
    ['none', 0, 0, false],
    ['beyond the window, as sent', -1_000_000, WINDOW_BYTES + 1_000_000, true],
    ['all bits', 0, 0xffffffff, false],
  ]
  for (const [title, bodyWindow, bytes, isFine] of cases) {
    const exchange = { bodyWindow }
    if (isFine) t.doesNotThrow(() => takeCredit(exchange, bytes), title)
    else t.throws(() => takeCredit(exchange, bytes), BREACH, title)
    t.equal(exchange.bodyWindow, isFine ? bodyWindow + bytes : bodyWindow, title)
  }
})

t.test('hello comes first, once, in our version', async t => {
  const said = (text: string) => [Buffer.from(text), 0, text.length] as const
  const promises = new LinkPromises(0)
  t.throws(() => promises.requireHello(), BREACH)
  t.throws(() => promises.hello(...said('daimyo-link/1')), /it speaks daimyo-link\/1 and not/)
  promises.hello(...said(LINK_VERSION))
  promises.requireHello()
  t.throws(() => promises.hello(...said(LINK_VERSION)), /hello twice/)
})

t.test('an acknowledgement is due, and goes further than the last one', async t => {
  const cases: [title: string, unsafe: number[], seen: number[], isFine: boolean][] = [
    ['the one', [2], [2], true],
    ['the last of several', [1, 3], [3], true],
    ['one after the other', [1, 3], [1, 3], true],
    ['twice', [1, 3], [3, 3], false],
    ['backwards', [1, 3], [3, 1], false],
    ['none is due', [], [1], false],
    ['one that is yet to come', [1], [4], false],
    ['far ahead', [1], [0x7fffffff], false],
    ['0', [1], [0], false],
    ['beyond the last that is due', [1], [2], false],
  ]
  for (const lastId of [0, 0xfffffffd]) {
    for (const [title, unsafe, seen, isFine] of cases) {
      const promises = promisesOf(3, unsafe, lastId)
      const all = () => {
        for (const id of seen) promises.seen((lastId + id) >>> 0)
      }
      if (isFine) t.doesNotThrow(all, `${title}, from ${lastId}`)
      else t.throws(all, BREACH, `${title}, from ${lastId}`)
    }
  }
})

t.test('an acknowledgement after ids have gone round is one', async t => {
  const promises = promisesOf(1, [1])
  promises.seen(1)
  promises.sent(0xffffffff, false)
  promises.sent(1, true)
  t.doesNotThrow(() => promises.seen(1))
})

t.test('a pong answers the ping that waits', async t => {
  const promises = new LinkPromises(0)
  t.throws(() => promises.ponged(0), BREACH, 'none waits')
  promises.pinged(7)
  t.throws(() => promises.ponged(8), BREACH)
  promises.ponged(7)
  t.throws(() => promises.ponged(7), BREACH, 'once')
})

t.test('of a released answer comes what was left of its window, until a pong proves that all has come', async t => {
  t.throws(() => promisesOf(2).strayResponse(1, 1), BREACH, 'nothing was released')
  const promises = promisesOf(2)
  promises.released({ ...fresh, unacknowledgedCredit: WINDOW_BYTES - 100 })
  promises.strayResponse(1, 60)
  promises.pinged(1)
  promises.released({ ...fresh, unacknowledgedCredit: WINDOW_BYTES - 10 })
  promises.strayResponse(1, 40)
  promises.strayResponse(2, 4)
  promises.ponged(1)
  promises.strayResponse(2, 6)
  t.throws(() => promises.strayResponse(2, 1), BREACH)
  const late = promisesOf(1)
  late.released(fresh)
  late.pinged(1)
  late.ponged(1)
  t.throws(() => late.strayResponse(1, 1), BREACH, 'it was read before the ping')
})

t.test('what nobody asked for is bounded between two pings', async t => {
  const promises = promisesOf(1)
  asideOften(promises, ASIDES_PER_PING)
  t.throws(() => promises.aside(1), BREACH)
  promises.pinged(1)
  asideOften(promises, ASIDES_PER_PING)
  t.throws(() => promises.aside(1), BREACH)
  promises.ponged(1)
  promises.pinged(2)
  promises.ponged(2)
  asideOften(promises, ASIDES_PER_PING)
  t.throws(() => promises.aside(1), BREACH, 'what was not used before a ping is void')
})

t.test('a release grants the frames that may be under way', async t => {
  const promises = promisesOf(1)
  asideOften(promises, ASIDES_PER_PING)
  const credits = 10
  promises.released({ unacknowledgedCredit: 0, bodyWindow: WINDOW_BYTES - credits * LEAST_CREDIT_BYTES })
  asideOften(promises, credits + 3)
  t.throws(() => promises.aside(1), BREACH)
})

t.test('nothing is said of a request that was never sent', async t => {
  const cases: [title: string, count: number, lastId: number, id: number, isFine: boolean][] = [
    ['the first', 3, 0, 1, true],
    ['the last', 3, 0, 3, true],
    ['the next', 3, 0, 4, false],
    ['far ahead', 3, 0, 0x80000000, false],
    ['before the first', 3, 100, 100, false],
    ['0', 3, 0, 0, false],
    ['across the wrap', 3, 0xfffffffe, 0xffffffff, true],
    ['before the wrap', 3, 0xfffffffe, 0xfffffffe, false],
    ['none was sent', 0, 0, 1, false],
  ]
  for (const [title, count, lastId, id, isFine] of cases) {
    const promises = promisesOf(count, [], lastId)
    promises.released(fresh)
    for (const say of [() => promises.aside(id), () => promises.strayResponse(id, 1)]) {
      if (isFine) t.doesNotThrow(say, title)
      else t.throws(say, BREACH, title)
    }
  }
})

t.test('words are one short printable line', async t => {
  const bytes = Buffer.from('a b\r\n\x1b[2J\xff', 'latin1')
  t.equal(wordsIn(bytes, 0, bytes.length), 'a b???[2J?')
  t.equal(wordsIn(Buffer.alloc(1_000_000, 'x'), 0, 1_000_000).length, 200)
})
