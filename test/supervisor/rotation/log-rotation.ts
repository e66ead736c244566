/** Tests `supervisor/rotation/log-rotation.ts` with real files. */

import { appendFileSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { LogChild } from '../../../supervisor/rotation/log-child.js'
import { LogRotation } from '../../../supervisor/rotation/log-rotation.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { PacedLooks } from '../../../supervisor/user/folder-names.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

function rotating(
  t: Test,
  options: { path: string; maxBytes?: number; sizeBytes?: () => number | null; child?: LogChild; looks?: PacedLooks },
) {
  const told: string[] = []
  const { path } = options
  const clock = { ms: 0, hours: 0 }
  const { child = new LogChild({ path, owner: null, pipes: testPipes(t), childMs: 60_000 }) } = options
  const rotation = new LogRotation({
    folder: dirname(path),
    maxBytes: 800,
    backups: 2,
    sizeBytes: () => statSync(path, { throwIfNoEntry: false })?.size ?? null,
    // An hour passes between two looks: on a busy machine one takes long enough to be followed by a pause.
    looks: new PacedLooks(() => clock.hours++ * 3_600_000),
    ...options,
    child,
    pruner: new LogChild(child.options),
    reopen: async move => {
      try {
        await move()
        told.push('reopen')
        return null
      } catch (error) {
        return (error as Error).message
      }
    },
    log: (event, fields) => void told.push(`${event} ${fields?.why}`),
    nowMs: () => clock.ms,
  })
  t.teardown(() => rotation.stop())
  return { rotation, told, clock }
}

t.test('a file that has grown to the bound is kept, and a new one begun', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  const { rotation, told } = rotating(t, { path })
  writeFileSync(path, 'x'.repeat(799))
  await rotation.look()
  t.same(told, [], 'below the bound')
  appendFileSync(path, 'x')
  await rotation.look()
  t.same(told, ['reopen'])
  t.match(readdirSync(folder).sort(), ['daimyo.log', /^daimyo\.log\.\d{4}-/])
  for (let number = 0; number < 3; number++) {
    appendFileSync(path, 'x'.repeat(800))
    await rotation.look()
    await removals.settled(60_000)
  }
  t.equal(readdirSync(folder).length, 3, 'the log and two backups')
})

t.test('backups that rotations have left are removed a while after the last one', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  const looksClock = { ms: 0 }
  const looks = new PacedLooks(() => looksClock.ms)
  const { rotation, told, clock } = rotating(t, { path, looks })
  // Reading the folder has just taken a second.
  looks.took(1000)
  for (let number = 0; number < 4; number++) {
    writeFileSync(path, 'x'.repeat(800))
    await rotation.look()
  }
  writeFileSync(join(folder, 'daimyo.log.foreign'), '')
  const names = async () => {
    await rotation.look()
    await removals.settled(60_000)
    return readdirSync(folder).length
  }
  clock.ms += 5000
  t.equal(await names(), 6, 'not while reading the folder is too slow')
  looksClock.ms = 3_600_000
  t.equal(await names(), 4, 'the log, two backups, and a file that is none')
  writeFileSync(join(folder, 'daimyo.log.2020-01-01T00-00-00'), '')
  clock.ms += 5000
  t.equal(await names(), 4, 'until nothing was left to remove')
  writeFileSync(join(folder, 'daimyo.log.2020-01-01T00-00-00'), '')
  clock.ms += 3_600_000
  t.equal(await names(), 4, 'tries again after it has removed some')
  clock.ms += 3_600_000
  await names()
  writeFileSync(join(folder, 'daimyo.log.2020-01-01T00-00-00'), '')
  clock.ms += 3_600_000
  t.equal(await names(), 5, 'and no more when there were none')
  t.same(told, Array(4).fill('reopen'), 'and begins no new log for it')
})

t.test('the master looks by what it writes', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { rotation, told } = rotating(t, { path })
  writeFileSync(path, 'x'.repeat(800))
  rotation.wrote(99)
  t.same(told, [])
  rotation.wrote(1)
  await rotation.look()
  t.same(told, ['reopen'], 'an eighth of the bound')
})

t.test('a log that cannot be moved is told of once, and tried again after a while', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  writeFileSync(path, 'x'.repeat(800))
  let tries = 0
  const child = new LogChild({ path: join(path, 'below-a-file'), owner: null, pipes: testPipes(t), childMs: 60_000 })
  const { rotation, told, clock } = rotating(t, {
    path,
    child,
    sizeBytes: () => {
      tries++
      return 800
    },
  })
  for (let number = 0; number < 3; number++) {
    await rotation.look()
    await rotation.look()
    t.equal(tries, number + 1, 'not at once')
    clock.ms += 5000
  }
  t.match(told, [/^log-not-rotated .*ENOTDIR/])
  t.equal(told.length, 1)
  t.ok(existsSync(path))
})

t.test('no file, no rotation', async t => {
  const { rotation, told } = rotating(t, { path: join(scratchFolder(t), 'daimyo.log') })
  await rotation.look()
  t.same(told, [])
})

t.test('a file system that does not answer costs a child, not the loop', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  writeFileSync(path, 'x'.repeat(800))
  const child = new LogChild({
    path,
    owner: null,
    pipes: testPipes(t),
    command: ['/bin/sh', '-c', 'exec sleep 600', 'sh'],
    childMs: 100,
  })
  const { rotation, told, clock } = rotating(t, { path, child })
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  const looked = rotation.look()
  await t.rejects(child.make(), /has not answered yet/, 'one child at a time')
  await looked
  clearInterval(turning)
  t.ok(turns > 0)
  t.match(told, [/^log-not-rotated the file system has not answered within 100 ms$/])
  clock.ms += 5000
  await rotation.look()
  t.equal(told.length, 1, 'told once')
})
