/** Tests `supervisor/log-rotation.ts` with real files. */

import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { removals } from '../../supervisor/file-removal.js'
import { PacedLooks } from '../../supervisor/folder-names.js'
import { LogRotation } from '../../supervisor/log-rotation.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

function rotating(t: Test, options: { path: string; maxBytes?: number; backups?: number }) {
  const told: string[] = []
  const rotation = new LogRotation({
    owner: null,
    maxBytes: 800,
    backups: 2,
    ...options,
    looks: new PacedLooks(() => 0),
    reopen: () => {
      told.push('reopen')
      writeFileSync(options.path, '')
    },
    log: (event, fields) => void told.push(`${event} ${fields?.why}`),
  })
  t.teardown(() => rotation.stop())
  return { rotation, told }
}

t.test('a file that has grown to the bound is kept, and a new one begun', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  const { rotation, told } = rotating(t, { path })
  writeFileSync(path, 'x'.repeat(799))
  rotation.look()
  t.same(told, [], 'below the bound')
  appendFileSync(path, 'x')
  rotation.look()
  t.same(told, ['reopen'])
  t.match(readdirSync(folder).sort(), ['daimyo.log', /^daimyo\.log\.\d{4}-/])
  for (let number = 0; number < 3; number++) {
    appendFileSync(path, 'x'.repeat(800))
    rotation.look()
    await removals.settled(60_000)
  }
  t.equal(readdirSync(folder).length, 3, 'the log and two backups')
})

t.test('the master looks by what it writes', t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  const { rotation, told } = rotating(t, { path })
  writeFileSync(path, 'x'.repeat(800))
  rotation.wrote(99)
  t.same(told, [])
  rotation.wrote(1)
  t.same(told, ['reopen'], 'an eighth of the bound')
  t.end()
})

t.test('a log that cannot be moved is told of once', t => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'daimyo.log.d'))
  const path = join(folder, 'daimyo.log.d', 'daimyo.log')
  writeFileSync(path, 'x'.repeat(800))
  const { rotation, told } = rotating(t, { path: join(path, 'below-a-file') })
  for (let number = 0; number < 3; number++) rotation.look()
  t.match(told, [/^log-not-rotated .*ENOTDIR/])
  t.ok(existsSync(path))
  t.end()
})

t.test('no file, no rotation', t => {
  const { rotation, told } = rotating(t, { path: join(scratchFolder(t), 'daimyo.log') })
  rotation.look()
  t.same(told, [])
  t.end()
})
