/** Which worker gets a request, who waits, who is refused, and when a worker is drained. Links are real, their workers are played. */

import t, { type Test } from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import { FRAME, frame } from '../../../kit/link/frames.js'
import { Exchange } from '../../../proxy/exchange/exchange.js'
import type { ResponderEvents } from '../../../proxy/exchange/responder.js'
import { Dispatcher, type DispatcherEvents } from '../../../proxy/link/dispatcher.js'
import type { Link } from '../../../proxy/link/link.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { FakeWorker } from '../fixtures/fake-worker.js'
import { responderEvents } from '../fixtures/responder-events.js'
import { SETTINGS } from '../fixtures/rig.js'

/** Tells of a link that is had at once as of one that was waited for. */
class Giver extends Dispatcher {
  readonly #events: DispatcherEvents

  constructor(settings: ProxySettings, events: DispatcherEvents, responses: ResponderEvents) {
    super(settings, events, responses)
    this.#events = events
  }

  override dispatch(exchange: Exchange, now: number): Link | null {
    return this.#tell(exchange, super.dispatch(exchange, now), now)
  }

  override dispatchFirst(exchange: Exchange, now: number): Link | null {
    return this.#tell(exchange, super.dispatchFirst(exchange, now), now)
  }

  #tell(exchange: Exchange, link: Link | null, now: number): Link | null {
    if (link !== null) this.#events.assigned(exchange, link, now)
    return link
  }
}

/** A dispatcher whose exchanges occupy a worker until they are released. */
async function open(t: Test, workers: number, settings: Partial<ProxySettings> = {}) {
  const told: string[] = []
  const drained: number[] = []
  const left: string[] = []
  const starved: number[] = []
  let linked = 0
  let allLinked = () => {}
  const ready = new Promise<void>(resolve => {
    allLinked = resolve
  })
  const assigned = (exchange: Exchange, link: Link) => {
    told.push(`${exchange.title}>${link.worker.slot}`)
    exchange.dispatchMs = monotonicMs()
    link.send(exchange, false)
  }
  const events = {
    linked: (link: Link) => {
      dispatcher.linked(link)
      linked += 1
      if (linked === workers) allLinked()
    },
    completed: (_exchange: Exchange, _close: boolean, _now: number, link: Link) => dispatcher.freed(link),
    broke: () => {},
    lost: (link: Link) => dispatcher.lost(link),
    freed: (link: Link) => dispatcher.freed(link),
  }
  const dispatcher: Dispatcher = new Giver(
    { ...SETTINGS, ...settings },
    {
      ...events,
      assigned,
      starved: () => starved.push(dispatcher.queued),
      left: (id, requests, tunnels) => {
        left.push([id, ...(requests ? ['requests'] : []), ...(tunnels ? ['tunnels'] : [])].join(' '))
        if (!requests && !tunnels) drained.push(id)
      },
    },
    responderEvents({ failed: (exchange, code) => void told.push(`${exchange.title}!${code}`) }),
  )
  const fakes = await Promise.all(Array.from({ length: workers }, (_, index) => FakeWorker.open(t, index + 1)))
  for (const fake of fakes) dispatcher.connect(fake.address)
  if (workers > 0) await ready
  t.teardown(() => {
    for (const link of dispatcher.links) link.dismiss()
  })
  const link = (slot: number) => [...dispatcher.links].find(each => each.worker.slot === slot) as Link
  return { dispatcher, told, drained, left, starved, fakes, link, events }
}

function exchangeNamed(title: string): Exchange {
  const head = { method: 'GET', target: title, httpMinor: 1 }
  const client = { encrypted: false, address: '', port: 0 }
  return {
    title,
    head,
    client,
    wireHeaders: '',
    bodyComplete: true,
    hasBody: false,
    queue: null,
    origin: client,
    out: { write: () => true },
    firstByteMs: 0,
    addedFields: '',
    beginResponse: Exchange.prototype.beginResponse,
    waitsBehind: null,
    waitsBefore: null,
  } as unknown as Exchange
}

t.test('the worker with the fewest in flight gets it, up to its limit; the rest waits in order', async t => {
  const { dispatcher, told, link } = await open(t, 2, { workerConnections: 2, httpQueue: 2 })
  const exchanges = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(exchangeNamed)
  for (const exchange of exchanges) dispatcher.dispatch(exchange, 0)
  t.same(told, ['a>1', 'b>2', 'c>1', 'd>2', 'g!queue-full'])
  t.equal(dispatcher.queued, 2)
  link(2).cancel(exchanges[1] as Exchange, false)
  t.same(told.slice(5), ['e>2'], 'the first in the queue gets the free place')
  link(1).cancel(exchanges[0] as Exchange, false)
  t.same(told.slice(6), ['f>1'])
  t.match(dispatcher.loads(), [
    { workerId: 1, requests: 3, inFlight: 2 },
    { workerId: 2, requests: 3, inFlight: 2 },
  ])
})

t.test('equals take turns, also around one that has more', async t => {
  const { dispatcher, told, link } = await open(t, 3)
  const one = (title: string) => {
    const exchange = exchangeNamed(title)
    dispatcher.dispatch(exchange, 0)
    exchange.attempt?.cancel(exchange, false)
  }
  for (const title of 'abcdefg') one(title)
  t.same(told, ['a>1', 'b>2', 'c>3', 'd>1', 'e>2', 'f>3', 'g>1'])
  link(2).tunnels = 1
  for (const title of 'hijk') one(title)
  t.same(told.slice(7), ['h>3', 'i>1', 'j>3', 'k>1'])
})

t.test('where none is idle, those that come together go together to a worker that is quick', async t => {
  const { dispatcher, told, fakes, link } = await open(t, 2)
  const together = (...titles: string[]) => {
    told.length = 0
    const exchanges = titles.map(exchangeNamed)
    for (const exchange of exchanges) dispatcher.dispatch(exchange, monotonicMs())
    return exchanges
  }
  const answered = async (exchanges: Exchange[]) => {
    for (const [index, fake] of fakes.entries()) {
      const own = exchanges.filter(({ attempt }) => attempt === link(index + 1))
      await fake.has(FRAME.request, link(index + 1).requests)
      for (const { linkId } of own) fake.answer(linkId, '')
    }
    while (link(1).inFlight + link(2).inFlight > 0) await new Promise(resolve => setImmediate(resolve))
  }
  await answered(together('a', 'b', 'c', 'd'))
  t.same(told, ['a>1', 'b>2', 'c>1', 'd>2'], 'of one that has not answered yet nothing is known')
  // Whatever this machine is doing, these have been answered at once.
  await answered(together('e', 'f').map(exchange => Object.assign(exchange, { dispatchMs: monotonicMs() + 1000 })))
  const first = together('g')
  await fakes[0]?.has(FRAME.request, link(1).requests)
  const rest = together('h', 'i', 'j', 'k')
  t.same(told, ['h>2', 'i>2', 'j>2', 'k>2'], 'the idle one gets the first, and it its companions')
  await answered([...first, ...rest].map(exchange => Object.assign(exchange, { dispatchMs: monotonicMs() - 60_000 })))
  together('l', 'm', 'n', 'o')
  t.same(told.map(line => line.slice(2)).sort(), ['1', '1', '2', '2'], 'slow ones get each its share')
})

t.test('tunnels count as requests in flight', async t => {
  const { dispatcher, told, link } = await open(t, 2)
  link(1).tunnels = 1
  dispatcher.dispatch(exchangeNamed('a'), 0)
  dispatcher.dispatch(exchangeNamed('b'), 0)
  dispatcher.dispatch(exchangeNamed('c'), 0)
  t.same(told, ['a>2', 'b>1', 'c>2'])
})

t.test('a worker whose ping is late gets nothing until it answers', async t => {
  const { dispatcher, told, link, fakes } = await open(t, 1)
  const [fake] = fakes as [FakeWorker]
  fake.pongs = false
  link(1).ping(1000)
  await fake.has(FRAME.ping, 1)
  t.ok(dispatcher.choose(1250), 'not late yet')
  t.equal(dispatcher.choose(1251), null, 'late')
  dispatcher.dispatch(exchangeNamed('a'), 1251)
  t.same(told, [])
  const freed = new Promise<void>(resolve => {
    const look = () => (told.length > 0 ? resolve() : void setImmediate(look))
    look()
  })
  fake.say(frame(FRAME.pong, fake.of(FRAME.ping)[0]?.id ?? 0, '\x05\0\0\0'))
  await freed
  t.same(told, ['a>1'], 'a pong lets the queue go on')
  t.equal(link(1).lagMs, 5)
})

t.test(
  'lazy: calls for a worker while one waits, and now and then while there are more requests than workers',
  async t => {
    const { dispatcher, starved, told, link } = await open(t, 1, { lazy: true, workerConnections: 2 })
    const [first, ...others] = ['a', 'b', 'c'].map(exchangeNamed) as [Exchange, Exchange, Exchange]
    dispatcher.dispatch(first, 10_000)
    dispatcher.sweep(10_000)
    t.same(starved, [], 'each has a worker')
    dispatcher.dispatch(others[0]!, 10_000)
    for (const now of [10_100, 10_200, 10_599]) dispatcher.sweep(now)
    t.same([told, starved], [['a>1', 'b>1'], [0]], 'it is served all the same')
    dispatcher.choose(10_600)
    dispatcher.sweep(10_600)
    t.same(starved, [0, 0], 'again, when it still is so')
    dispatcher.dispatch(others[1]!, 10_601)
    t.same(starved, [0, 0, 0], 'nobody can take it')
    link(1).cancel(first, false)
    t.same(told, ['a>1', 'b>1', 'c>1'])
  },
)

t.test('waiting too long', async t => {
  const { dispatcher, told } = await open(t, 0, { httpQueueTimeoutMs: 1000 })
  const [early, late, left] = [exchangeNamed('early'), exchangeNamed('late'), exchangeNamed('left')]
  dispatcher.dispatch(early, 0)
  dispatcher.dispatch(left, 0)
  dispatcher.dispatch(late, 500)
  dispatcher.leave(left)
  dispatcher.sweep(999)
  t.same(told, [])
  dispatcher.sweep(1000)
  t.same(told, ['early!no-worker'])
  t.equal(early.queue, null)
  dispatcher.sweep(1500)
  t.same(told, ['early!no-worker', 'late!no-worker'], 'and one that left is not heard of')
  t.equal(dispatcher.queued, 0)
})

t.test('without a queue time-out one waits for ever', async t => {
  const { dispatcher, told } = await open(t, 0, { httpQueueTimeoutMs: 0 })
  dispatcher.dispatch(exchangeNamed('a'), 0)
  dispatcher.sweep(Number.MAX_SAFE_INTEGER)
  t.same(told, [])
})

t.test('while it is paused all wait, and none is refused or late', async t => {
  const { dispatcher, told } = await open(t, 1, { httpQueueTimeoutMs: 1000, httpQueue: 1 })
  dispatcher.isPaused = true
  const names = ['a', 'b', 'c']
  for (const name of names) dispatcher.dispatch(exchangeNamed(name), 0)
  dispatcher.sweep(Number.MAX_SAFE_INTEGER)
  t.same(told, [])
  t.equal(dispatcher.queued, 3)
  dispatcher.isPaused = false
  t.same(
    told,
    names.map(name => `${name}>1`),
  )
})

t.test('who waits when a pause ends has the whole time again', async t => {
  const { dispatcher, told } = await open(t, 0, { httpQueueTimeoutMs: 1000 })
  const waits = exchangeNamed('a')
  dispatcher.dispatch(waits, 0)
  dispatcher.isPaused = true
  dispatcher.isPaused = true
  t.equal(waits.queueDeadlineMs, Number.POSITIVE_INFINITY)
  const sinceMs = monotonicMs()
  dispatcher.isPaused = false
  t.ok(waits.queueDeadlineMs >= sinceMs + 1000)
  dispatcher.sweep(waits.queueDeadlineMs)
  t.same(told, ['a!no-worker'])
})

t.test('a rescued request goes before those that wait, also where the queue is full', async t => {
  const { dispatcher, told } = await open(t, 0, { httpQueue: 1 })
  dispatcher.dispatch(exchangeNamed('waits'), 0)
  dispatcher.dispatchFirst(exchangeNamed('rescued'), 0)
  t.equal(dispatcher.queued, 2)
  const fake = await FakeWorker.open(t, 1)
  dispatcher.connect(fake.address)
  while (told.length < 2) await new Promise(resolve => setImmediate(resolve))
  t.same(told, ['rescued>1', 'waits>1'])
})

t.test('new settings let those go on that fit now', async t => {
  const { dispatcher, told } = await open(t, 1, { workerConnections: 1 })
  dispatcher.dispatch(exchangeNamed('a'), 0)
  dispatcher.dispatch(exchangeNamed('b'), 0)
  dispatcher.settings = { ...SETTINGS, workerConnections: 2 }
  t.same(told, ['a>1', 'b>1'])
})

t.test('a retiring worker gets nothing new and is drained once, when all is finished', async t => {
  const { dispatcher, told, drained, left, link, fakes } = await open(t, 2)
  const exchange = exchangeNamed('a')
  dispatcher.dispatch(exchange, 0)
  const retiring = link(1)
  retiring.tunnels = 1
  dispatcher.retire(1)
  dispatcher.dispatch(exchangeNamed('b'), 0)
  dispatcher.dispatch(exchangeNamed('c'), 0)
  t.same(told, ['a>1', 'b>2', 'c>2'])
  retiring.cancel(exchange, false)
  t.same(drained, [], 'a tunnel is still open')
  retiring.tunnels = 0
  dispatcher.freed(retiring)
  t.same(drained, [1])
  dispatcher.freed(retiring)
  fakes[0]?.die()
  await new Promise<void>(resolve => {
    const look = () => ([...dispatcher.links].length === 1 ? resolve() : void setImmediate(look))
    look()
  })
  t.same(left, ['1 requests tunnels', '1 tunnels', '1'], 'each said once')
})

t.test('what could not be reached is not tried again as long as there is another', async t => {
  const { dispatcher, told, link } = await open(t, 2)
  dispatcher.dispatchElsewhere(exchangeNamed('a'), link(1), 0)
  dispatcher.dispatchElsewhere(exchangeNamed('b'), link(2), 0)
  t.same(told, ['a>2', 'b>1'])
  t.ok(link(1).open && link(2).open, 'both stay in rotation')
})

t.test('what could not be reached waits where there is no other', async t => {
  const { dispatcher, told, link } = await open(t, 1)
  dispatcher.dispatchElsewhere(exchangeNamed('a'), link(1), 0)
  t.same(told, [])
  t.equal(dispatcher.queued, 1)
  dispatcher.freed(link(1))
  t.same(told, ['a>1'], 'until something happens')
})

t.test('workers that nobody knows, and workers that die while they retire', async t => {
  const { dispatcher, drained, link } = await open(t, 1)
  dispatcher.retire(77)
  t.same(drained, [77], 'an unknown one is drained')
  t.doesNotThrow(() => dispatcher.gone(77, 'crashed'))
  dispatcher.dispatch(exchangeNamed('a'), 0)
  dispatcher.retire(1)
  t.same(drained, [77])
  const retiring = link(1)
  dispatcher.lost(retiring)
  t.same(drained, [77, 1], 'a dead one is drained')
  retiring.dismiss()
})

t.test('a broken link is made anew, unless the master says that the worker is gone', async t => {
  const { dispatcher, link } = await open(t, 2)
  for (const slot of [1, 2]) dispatcher.lost(link(slot))
  t.same([...dispatcher.links], [], 'both are broken')
  dispatcher.gone(2, 'crashed')
  dispatcher.sweep(0)
  t.same(
    [...dispatcher.links].map(each => each.worker.slot),
    [1],
  )
  const again = link(1)
  t.not(again.open, 'it takes nothing before its handshake')
  dispatcher.gone(1, 'crashed')
  dispatcher.lost(again)
  dispatcher.sweep(0)
  t.same([...dispatcher.links], [], 'dismissed for good')
})

t.test('workers are called for only where a request waits and nobody could take it', async t => {
  const { dispatcher, starved, link } = await open(t, 1, { workerConnections: 1, httpQueue: 5 })
  const [a, b, c] = ['a', 'b', 'c'].map(exchangeNamed) as [Exchange, Exchange, Exchange]
  dispatcher.dispatch(a, 0)
  dispatcher.dispatch(b, 0)
  dispatcher.sweep(0)
  t.same(starved, [], 'a full worker will take it')
  dispatcher.retire(link(1).worker.workerId)
  t.same(starved, [1], 'one that leaves will not')
  dispatcher.dispatch(c, 0)
  t.same(starved, [1], 'once is enough')
  dispatcher.sweep(0)
  t.same(starved, [1, 2], 'for a moment')
})

t.test('the first request calls for a worker where there is none', async t => {
  const { dispatcher, starved } = await open(t, 0, { httpQueue: 5 })
  dispatcher.sweep(0)
  t.same(starved, [], 'nobody waits')
  dispatcher.dispatch(exchangeNamed('a'), 0)
  t.same(starved, [0])
})

t.test('of a proxy that goes away, who waits is refused once no worker is left', async t => {
  const { dispatcher, told, link } = await open(t, 2, { workerConnections: 1, httpQueueTimeoutMs: 0 })
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(exchangeNamed) as [Exchange, Exchange, Exchange, Exchange]
  for (const exchange of [a, b, c, d]) dispatcher.dispatch(exchange, 0)
  dispatcher.drain()
  t.same(told, ['a>1', 'b>2'], 'both workers will have room again')
  link(1).cancel(a, false)
  t.same(told.slice(2), ['c>1'])
  dispatcher.gone(1, 'crashed')
  t.same(told.slice(3), [], 'there is one more')
  dispatcher.gone(2, 'crashed')
  t.same(told.slice(3), ['d!stopping'])
  t.equal(d.queue, null)
  dispatcher.dispatch(exchangeNamed('new'), 0)
  dispatcher.dispatchFirst(exchangeNamed('rescued'), 0)
  dispatcher.dispatchElsewhere(exchangeNamed('unreached'), link(2), 0)
  t.same(told.slice(4), ['new!stopping', 'rescued!stopping', 'unreached!stopping'])
  t.equal(dispatcher.queued, 0)
})

t.test(
  'of a proxy that goes away, a worker whose link broke is waited for until the master says that it is gone',
  async t => {
    const { dispatcher, told, link } = await open(t, 1)
    dispatcher.lost(link(1))
    dispatcher.drain()
    dispatcher.dispatch(exchangeNamed('a'), 0)
    dispatcher.sweep(0)
    t.same(told, [], 'it is linked anew')
    dispatcher.lost(link(1))
    t.same(told, [])
    dispatcher.gone(1, 'killed')
    t.same(told, ['a!stopping'])
  },
)

const ENDS: [title: string, end: (dispatcher: Dispatcher) => void][] = [
  ['had none', dispatcher => dispatcher.gone(1, 'asked')],
  ['has one that retires only', dispatcher => dispatcher.retire(1)],
]
for (const [title, end] of ENDS) {
  t.test(`who waits is refused as soon as a proxy that ${title} goes away, also where it was paused`, async t => {
    const { dispatcher, told } = await open(t, 1)
    dispatcher.isPaused = true
    end(dispatcher)
    dispatcher.dispatch(exchangeNamed('a'), 0)
    t.same(told, [])
    dispatcher.drain()
    t.same(told, ['a!stopping'])
  })
}

t.test('who waited while it was paused is served when the proxy goes away', async t => {
  const { dispatcher, told } = await open(t, 1)
  dispatcher.isPaused = true
  dispatcher.dispatch(exchangeNamed('a'), 0)
  dispatcher.drain()
  t.same(told, ['a>1'])
})
