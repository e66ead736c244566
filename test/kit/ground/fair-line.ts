/** Who goes first in a line that is fair between clients, and who loses a place. */

import t from 'tap'
import { FairLine, type Waiter } from '../../../kit/ground/fair-line.js'

type Named = Waiter & { name: string }

/** `client` is the name's first letter. */
function lineOf(places: number, placesOfClient?: number) {
  const line = new FairLine<Named>(places, placesOfClient)
  const lost: string[] = []
  let joined = 0
  const join = (name: string, lane = 0, since = ++joined) =>
    line.join({ name, client: name[0] ?? '', lane, since, displaced: () => lost.push(name) })
  const order = () => Array.from({ length: line.length }, () => line.next()?.name)
  return { line, lost, join, order }
}

t.test('clients take turns, each in the order in which it came', async t => {
  const { join, order } = lineOf(10)
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) join(name)
  t.same(order(), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
})

t.test('a lower lane goes first, whoever it is', async t => {
  const { join, order } = lineOf(10)
  join('a1', 1)
  join('b1', 1)
  join('a2', 0)
  t.same(order(), ['a2', 'b1', 'a1'])
})

t.test('a full line: the client with the most in it makes room', async t => {
  const { join, lost, order } = lineOf(3)
  for (const name of ['a1', 'a2', 'a3']) t.ok(join(name))
  t.notOk(join('a4'), 'not for itself')
  t.ok(join('b1'))
  t.notOk(join('b2'), 'nor when the other one has no more than itself')
  t.same(lost, ['a3'])
  t.same(order(), ['a1', 'b1', 'a2'])
})

t.test('a full line: a newcomer that would go first takes the place of the last one', async t => {
  const { join, lost } = lineOf(4, 2)
  join('a1', 1, 5)
  join('a2', 1, 6)
  t.notOk(join('a3', 1, 7), 'a client has its own bound')
  t.ok(join('a4', 0, 8))
  join('b1', 1, 9)
  join('c1', 1, 10)
  t.ok(join('d1', 0, 11))
  t.same(lost, ['a2', 'a1'])
})

t.test('who has left is not called', async t => {
  const { line } = lineOf(2)
  const member = { name: 'a', client: 'a', lane: 0, since: 1, displaced: () => {} }
  line.join(member)
  line.leave(member)
  line.leave(member)
  t.equal(line.next(), undefined)
})
