/** The memory that a worker and its watchdog share: whose turn it is, and that no byte is lost or written twice. */

import t from 'tap'
import { Outbox } from '../../../../app/host/watchdog/outbox.js'

/** The two sides of one outbox, and what each wrote. */
function both() {
  const main = new Outbox()
  const twin = new Outbox(main.memory)
  const written: string[] = []
  const take = (bytes: Buffer | null, count = bytes?.length ?? 0) => {
    if (bytes !== null) written.push(bytes.latin1Slice(0, count))
    return count
  }
  return { main, twin, written, take }
}

t.test('what is appended is emptied once, in order', async t => {
  const { main, take, written } = both()
  t.ok(main.append('one'))
  t.ok(main.append('\xfftwo'))
  main.empty(bytes => take(bytes) < 0)
  main.empty(bytes => take(bytes) < 0)
  t.same(written, ['one\xfftwo'])
})

t.test('a frame that does not fit is left to the caller', async t => {
  const { main, take, written } = both()
  t.ok(main.append('a'))
  t.notOk(main.append('b'.repeat(64 * 1024)))
  main.empty(bytes => take(bytes) < 0)
  t.same(written, ['a'])
  t.ok(main.append('b'.repeat(64 * 1024)))
})

t.test('the watchdog writes in the place of a stuck loop', async t => {
  const { main, twin, take, written } = both()
  main.append('answer')
  main.running = 7
  const first = twin.look()
  t.match(first, { running: 7, waiting: true })
  t.same(twin.look(), first, 'nothing moves')
  t.ok(twin.writeInstead('+stuck', take))
  t.match(twin.look(), { running: 7, waiting: false })
  main.running = 0
  main.append('next')
  main.empty(bytes => take(bytes) < 0)
  t.same(written, ['answer+stuck', 'next'])
  t.not(twin.look().moves, first.moves)
})

t.test('what the kernel did not take of it, the main thread writes first', async t => {
  const { main, twin, take, written } = both()
  main.append('answer')
  t.ok(twin.writeInstead('+stuck', bytes => take(bytes, 3)))
  main.append('next')
  main.empty(bytes => take(bytes) < 0)
  t.same(written, ['ans', 'wer+stucknext'])
})

t.test('the watchdog keeps its hands off', async t => {
  const cases: [title: string, prepare: (main: Outbox, twin: Outbox) => unknown][] = [
    ['while the socket has a backlog', main => main.empty(() => true)],
    ['once the descriptor is given up', main => main.close()],
  ]
  for (const [title, prepare] of cases) {
    const { main, twin, take, written } = both()
    prepare(main, twin)
    main.append('answer')
    t.notOk(twin.writeInstead('', take), title)
    t.same(written, [], title)
  }
  const { main, twin, take } = both()
  main.append('answer')
  main.empty(() => {
    t.notOk(twin.writeInstead('', take), 'while the main thread writes')
    return false
  })
  t.ok(twin.writeInstead('', take))
  main.close()
  t.ok(twin.closed)
  main.empty(() => false)
  t.ok(twin.closed, 'closed it stays')
})
