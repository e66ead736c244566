/** A lazy Duplex against a real one: what it says, in every order of asking, and what becomes of it. */

import { Duplex, finished } from 'node:stream'
import t from 'tap'
import { LazyDuplex } from '../../../../app/host/request/lazy-duplex.js'

const OPTIONS = { autoDestroy: false, emitClose: false, decodeStrings: false }

function quiet<Stream extends Duplex>(stream: Stream): Stream {
  return Object.assign(stream, { _read: () => {} })
}

const pair = () => ({ real: quiet(new Duplex(OPTIONS)), lazy: quiet(new LazyDuplex()) })

const ASKED: (keyof Duplex)[] = [
  'writable',
  'readable',
  'destroyed',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'writableLength',
  'readableLength',
  'readableFlowing',
  'readableEnded',
  'writableEnded',
  'writableFinished',
  'writableNeedDrain',
  'readableObjectMode',
  'writableCorked',
  'errored',
  'closed',
  'allowHalfOpen',
  'readableAborted',
]

const told = (stream: Duplex) => ASKED.map(name => [name, stream[name]])

t.test('answers as a Duplex does', async t => {
  const { real, lazy } = pair()
  t.ok(lazy instanceof Duplex)
  t.same(told(lazy), told(real), 'before')
  for (const name of ASKED) {
    const fresh = pair()
    t.equal(fresh.lazy[name], fresh.real[name], `${String(name)} first of all`)
  }
})

t.test('nothing is made for what a small request does with it', async t => {
  const lazy = new LazyDuplex()
  const listener = () => {}
  lazy.on('close', listener)
  lazy.removeListener('close', listener)
  t.equal(lazy.writable && !lazy.destroyed && lazy.readableHighWaterMark > 0, true)
  t.same(
    Object.keys(lazy).filter(name => /State$/.test(name)),
    [],
  )
})

t.test('reads, is destroyed and finishes as a Duplex does', async t => {
  const uses: [title: string, use: (stream: Duplex) => void][] = [
    ['read as it flows', stream => void stream.on('data', () => {}).push('rice')],
    ['read on demand', stream => void stream.on('readable', () => stream.read()).push('rice')],
    ['ended', stream => void stream.resume().push(null)],
    ['destroyed', stream => void stream.destroy()],
    ['destroyed with an error', stream => void stream.on('error', () => {}).destroy(new Error('why'))],
    ['destroyed twice', stream => void stream.destroy().destroy()],
    ['watched', stream => void finished(stream.destroy(), () => {})],
  ]
  for (const [title, use] of uses) {
    const { real, lazy } = pair()
    const [ofReal, ofLazy] = [real, lazy].map(stream => {
      const events: string[] = []
      for (const event of ['close', 'end', 'finish']) stream.on(event, () => events.push(event))
      use(stream)
      return events
    })
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    t.same(ofLazy, ofReal, `${title}: events`)
    t.same(
      told(lazy),
      told(real).map(([name, value]) => [name, value]),
      `${title}: answers`,
    )
  }
})

t.test('two of them share no state', async t => {
  const [one, other] = [quiet(new LazyDuplex()), quiet(new LazyDuplex())]
  one.push('rice')
  one.destroy()
  t.equal(other.readableLength, 0)
  t.equal(other.destroyed, false)
  t.equal(other.writable, true)
})
