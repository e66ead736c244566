/** `kit/ground/token-bucket.ts`: what may be spent at once, and what comes back with time. */

import t from 'tap'
import { TokenBucket } from '../../../kit/ground/token-bucket.js'

const rate = { atOnce: 3, perSecond: 2 }

t.test('so many at once, and so many a second after that', t => {
  const bucket = new TokenBucket(rate, 1000)
  const taken = (nowMs: number) => Array.from({ length: 10 }, () => bucket.takeOne(nowMs)).filter(Boolean).length
  t.equal(taken(1000), 3)
  t.equal(taken(1499), 0, 'not before its time')
  t.equal(taken(1500), 1)
  t.equal(taken(1e9), 3, 'a long silence saves up no more')
  t.end()
})

t.test('what is spent too much is waited for', t => {
  const bucket = new TokenBucket(rate, 0)
  bucket.spend(7, 0)
  t.equal(bucket.leftAt(0), -4)
  t.equal(bucket.waitMs(1, 0), 2500)
  t.equal(bucket.waitMs(1, 2500), 0)
  t.equal(bucket.takeOne(2500), true)
  t.end()
})

t.test('one begins with what another has left', t => {
  const first = new TokenBucket(rate, 0)
  first.spend(2, 0)
  t.equal(new TokenBucket(rate, 500, first.leftAt(500)).leftAt(500), 2)
  t.equal(new TokenBucket(rate, 500, 100).leftAt(500), 3, 'never with more than it can have')
  t.end()
})

t.test('a clock that goes back takes nothing away', t => {
  const bucket = new TokenBucket(rate, 1000)
  t.equal(bucket.leftAt(0), 3)
  t.end()
})
