/** The queue: order, leaving from anywhere, and that it costs the same however many wait. */

import t from 'tap'
import type { Exchange } from '../../../proxy/exchange/exchange.js'
import { WaitingLine } from '../../../proxy/exchange/waiting-line.js'

function waiter(name: string, queueDeadlineMs = 100): Exchange {
  return { path: name, queueDeadlineMs, waitsBehind: null, waitsBefore: null } as Exchange
}

function namesOf(line: WaitingLine): string {
  let names = ''
  for (let each = line.first; each !== null; each = each.waitsBefore) names += each.path
  return names
}

t.test('in order, and out of it from anywhere', async t => {
  const cases: [title: string, leaves: string, left: string][] = [
    ['nobody', '', 'rabcd'],
    ['the first', 'r', 'abcd'],
    ['the last', 'd', 'rabc'],
    ['from the middle', 'b', 'racd'],
    ['neighbours', 'bc', 'rad'],
    ['all, from behind', 'dcbar', ''],
    ['all, from the front', 'rabcd', ''],
  ]
  for (const [title, leaves, left] of cases) {
    const line = new WaitingLine()
    const waiting = new Map([...'abcdr'].map(name => [name, waiter(name)]))
    for (const name of 'abcd') line.push(waiting.get(name)!)
    line.unshift(waiting.get('r')!)
    for (const name of leaves) line.remove(waiting.get(name)!)
    t.equal(namesOf(line), left, title)
    t.equal(line.size, left.length, title)
    line.push(waiter('x'))
    line.unshift(waiter('y'))
    t.equal(namesOf(line), `y${left}x`, `${title}: and it goes on`)
  }
})

t.test('one that left may come back', async t => {
  const line = new WaitingLine()
  const [a, b] = [waiter('a'), waiter('b')]
  line.push(a)
  line.push(b)
  line.remove(a)
  line.push(a)
  t.equal(namesOf(line), 'ba')
})

t.test('the late ones, wherever they stand', async t => {
  const line = new WaitingLine()
  for (const [name, deadlineMs] of Object.entries({ a: 10, b: 30, c: 20, d: 40 })) line.push(waiter(name, deadlineMs))
  t.equal(line.removeLate(9).length, 0)
  t.same(
    line.removeLate(20).map(({ path }) => path),
    ['a', 'c'],
  )
  t.equal(namesOf(line), 'bd')
})

t.test('a hundred thousand leave from the middle in no time', async t => {
  const line = new WaitingLine()
  const many = Array.from({ length: 100_000 }, (_, index) => waiter(String(index)))
  for (const each of many) line.push(each)
  const before = process.cpuUsage()
  for (let index = 50_000; index < 100_000; index++) line.remove(many[index]!)
  for (let index = 0; index < 50_000; index++) line.remove(line.first!)
  const { user, system } = process.cpuUsage(before)
  const tookMs = (user + system) / 1000
  t.equal(line.size, 0)
  // Searching an array for each would take more than ten seconds of a core.
  t.ok(tookMs < 1000, `${tookMs.toFixed(1)} ms`)
})
