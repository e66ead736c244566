/** Tests `supervisor/user/own-children.ts`: which children of a process it has not started itself. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { listChildren } from '../../../kit/process/child-list.js'
import { findStrange, OwnChildren, ownChildren, spawnOwn } from '../../../supervisor/user/own-children.js'

const pidOf = ({ pid }: { pid: number }) => pid
const started = (children: OwnChildren, pid: number) => children.starting(() => ({ pid }), pidOf)

t.test('what was not started here is strange', async t => {
  const children = new OwnChildren()
  for (const pid of [11, 12]) started(children, pid)
  t.same(
    findStrange(children.memory, () => [11, 12, 13]),
    [13],
  )
  children.reaped(11)
  children.reaped(99)
  t.same(
    findStrange(children.memory, () => [11, 12]),
    [11],
    'its number is another process now',
  )
  t.same(
    findStrange(children.memory, () => null),
    null,
    'a kernel that does not tell',
  )
})

t.test('nothing is said where a child is just being started, or was while it was looked', async t => {
  const children = new OwnChildren()
  const find = () => findStrange(children.memory, () => [7])
  const found = children.starting(
    () => ({ pid: 7, found: find() }),
    ({ pid }) => pid,
  )
  t.equal(found.found, null)
  t.same(find(), [])
  const changed = findStrange(children.memory, () => {
    children.reaped(7)
    return [7]
  })
  t.equal(changed, null)
  t.throws(() => children.starting(() => JSON.parse(''), pidOf), 'a start may fail')
  t.same(find(), [7])
})

t.test('with more children than fit into the memory none is strange', async t => {
  const children = new OwnChildren(2)
  for (const pid of [1, 2]) started(children, pid)
  children.reaped(1)
  started(children, 3)
  t.same(
    findStrange(children.memory, () => [2, 3, 4]),
    [4],
    'a place is used again',
  )
  started(children, 5)
  t.equal(
    findStrange(children.memory, () => [2, 3, 4]),
    null,
  )
})

t.test('a child that was there before the first one is not strange', async t => {
  const before = spawn('sleep', ['60'])
  t.teardown(() => before.kill('SIGKILL'))
  const own = spawnOwn('sleep', ['60'], { stdio: 'ignore' })
  t.teardown(() => own.kill('SIGKILL'))
  const later = spawn('sleep', ['60'])
  t.same(listChildren()?.sort(), [before.pid, own.pid, later.pid].sort())
  t.same(findStrange(ownChildren.memory), [later.pid])
  later.kill('SIGKILL')
  own.kill('SIGKILL')
  await Promise.all([once(later, 'exit'), once(own, 'exit')])
  t.same(findStrange(ownChildren.memory), [])
  const lacking = spawnOwn('/nonexistent', [], {})
  t.match(await once(lacking, 'error'), [{ code: 'ENOENT', message: 'spawn /nonexistent ENOENT' }])
})

t.test('a child that has not ended when its end is told is ended', async t => {
  const child = spawnOwn('sleep', ['5'], { stdio: 'ignore' })
  await once(child, 'spawn')
  // As libuv does it for a child that made us its tracer and stopped.
  child.emit('exit', 0, null)
  const [, signal] = await once(child, 'exit')
  t.equal(signal, 'SIGKILL')
})
