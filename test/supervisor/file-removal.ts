/** `supervisor/file-removal.ts`, and that those who remove what the service's user may have written do it so. */

import {
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { filesWaiting, holdingFile, MOST_WAITING, removeFile } from '../../supervisor/file-removal.js'
import { LeakAutopsies } from '../../supervisor/leak-autopsies.js'
import { backUpLog } from '../../supervisor/log-backup.js'
import type { MasterContext } from '../../supervisor/master-context.js'
import type { Worker } from '../../supervisor/worker.js'
import { until } from '../e2e/fixtures/watched-site.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

const options = { skip: process.platform !== 'linux' && 'needs /proc' }

/** The removed files below `folder` whose blocks this process still holds. */
function held(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(folder) && path.endsWith(' (deleted)') ? [path.slice(folder.length + 1, -10)] : []
    } catch {
      // ENOENT: that of the folder's own reading.
      return []
    }
  })
}

/** The first one may be in its thread already, and gone at any moment; those behind it wait for their turn in the loop. */
function isHeldBehindFirst(folder: string, names: readonly string[]): boolean {
  const found = held(folder)
  return names.slice(1).every(name => found.includes(name))
}

const allFreed = () => until('all are freed', () => filesWaiting() === 0)

t.test('names go at once, blocks one file after the other in a thread', options, async t => {
  const folder = scratchFolder(t)
  const names = ['a', 'b', 'c']
  for (const name of names) writeFileSync(join(folder, name), 'content')
  for (const name of names) t.equal(removeFile(join(folder, name)), 'removed')
  t.same(readdirSync(folder), [])
  t.ok(isHeldBehindFirst(folder, names))
  await allFreed()
  t.same(held(folder), [])
})

t.test('nothing but regular files, and a bounded number at a time', async t => {
  const folder = scratchFolder(t)
  const at = (name: string) => join(folder, name)
  mkdirSync(at('folder'))
  symlinkSync('folder', at('link'))
  for (const name of ['folder', 'link']) t.equal(removeFile(at(name)), 'not-a-file', name)
  t.equal(removeFile(at('nothing')), 'missing')
  await allFreed()
  for (let count = 0; count <= MOST_WAITING; count++) writeFileSync(at(`file${count}`), 'content')
  const told = Array.from({ length: MOST_WAITING + 1 }, (_, count) => removeFile(at(`file${count}`)))
  t.same(told, [...Array(MOST_WAITING).fill('removed'), 'busy'])
  t.same(readdirSync(folder).sort(), [`file${MOST_WAITING}`, 'folder', 'link'])
  await allFreed()
  t.equal(removeFile(at(`file${MOST_WAITING}`)), 'removed')
})

t.test('what is replaced is freed in the same way', options, async t => {
  const folder = scratchFolder(t)
  for (const name of ['a', 'b', 'new-a', 'new-b']) writeFileSync(join(folder, name), name)
  for (const name of ['a', 'b'])
    holdingFile(join(folder, name), () => renameSync(join(folder, `new-${name}`), join(folder, name)))
  t.same(readdirSync(folder).sort(), ['a', 'b'])
  t.ok(isHeldBehindFirst(folder, ['a', 'b']))
  await allFreed()
  t.throws(() => holdingFile(join(folder, 'a'), () => linkSync(join(folder, 'a'), join(folder, 'b'))), {
    code: 'EEXIST',
  })
  t.equal(
    holdingFile(join(folder, 'nothing'), () => 'done'),
    'done',
  )
  await allFreed()
})

t.test('rotated logs', options, async t => {
  const folder = scratchFolder(t)
  const names = [1, 2, 3, 4].map(day => `daimyo.log.2026-01-0${day}T00-00-00`)
  for (const name of [...names, 'daimyo.log']) writeFileSync(join(folder, name), 'lines')
  backUpLog(join(folder, 'daimyo.log'), new Date('2026-02-01T00:00:00Z'), 1)
  t.same(readdirSync(folder), ['daimyo.log.2026-02-01T00-00-00'])
  t.ok(isHeldBehindFirst(folder, names))
  await allFreed()
})

t.test('rotated logs that cannot all go go with the next', async t => {
  const folder = scratchFolder(t)
  const count = MOST_WAITING + 5
  for (let at = 0; at < count; at++)
    writeFileSync(join(folder, `daimyo.log.2026-01-01T00-00-${String(at).padStart(2, '0')}`), 'lines')
  const left = (second: number) => {
    writeFileSync(join(folder, 'daimyo.log'), 'lines')
    backUpLog(join(folder, 'daimyo.log'), new Date(Date.UTC(2026, 1, 1, 0, 0, second)), 1)
    return readdirSync(folder).length
  }
  t.equal(left(0), count + 1 - MOST_WAITING)
  await allFreed()
  t.equal(left(1), 1)
  await allFreed()
})

t.test('heap snapshots', options, async t => {
  const folder = scratchFolder(t)
  const worker = {
    address: { slot: 1, pid: 9 },
    life: { why: 'reload-on-rss' },
    generation: {
      settings: { leakAutopsy: { folder, files: 1 }, recycling: { reloadOnRssBytes: 1 }, credentials: null },
    },
  } as unknown as Worker
  const names = [1, 2, 3].map(pid => `daimyo-slot1-pid${pid}-20260101T000000Z.heapsnapshot.partial`)
  const old = new Date('2026-01-01T00:00:00Z')
  for (const name of names) {
    writeFileSync(join(folder, name), '{')
    utimesSync(join(folder, name), old, old)
  }
  const autopsies = new LeakAutopsies({ nowMs: () => 0, log: () => {} } as unknown as MasterContext)
  const path = autopsies.begin(worker) ?? ''
  t.same(readdirSync(folder), [])
  // Which of them is first is not said: they are of one age.
  t.ok(held(folder).length >= names.length - 1)
  const partial = `${path}.partial`
  writeFileSync(partial, '{')
  autopsies.end(worker)
  t.same(readdirSync(folder), [])
  t.ok(held(folder).includes(partial.slice(folder.length + 1)), 'behind the others')
  await allFreed()
})
