/** `supervisor/user/file-removal.ts`, and that those who remove what the service's user may have written do it so. */

import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import type { MasterContext } from '../../../supervisor/child/master-context.js'
import { backUpLog } from '../../../supervisor/rotation/log-backup.js'
import { clearWorkerNames, removeWorkerNames } from '../../../supervisor/run-folder/workers-folder.js'
import { FileRemovals, MOST_NAMES, removalCommand, removals } from '../../../supervisor/user/file-removal.js'
import { identitySwitches } from '../../../supervisor/user/service-user.js'
import { LeakAutopsies } from '../../../supervisor/workers/leak-autopsies.js'
import type { WorkerHandle } from '../../../supervisor/workers/worker-handle.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const PATIENCE_MS = 60_000
const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }
const nobody = { user: null, uid: 65_534, gid: 65_534 }

/** A folder with these files. */
function folderOf(t: { teardown(work: () => void): unknown }, names: readonly string[]): string {
  const folder = scratchFolder(t)
  for (const name of names) writeFileSync(join(folder, name), 'content')
  return folder
}

t.test('nothing is removed in this process, and soon all is', async t => {
  const names = ['a', '-b', 'c d']
  const folder = folderOf(t, [...names, 'kept'])
  t.ok(removals.add(folder, names, null))
  t.equal(readdirSync(folder).length, 4)
  t.equal(await removals.settled(PATIENCE_MS), true)
  t.same(readdirSync(folder), ['kept'])
  t.equal(await removals.settled(0), true, 'of nothing')
})

for (const [title, find] of [
  ['rm', undefined],
  ['without rm', () => null],
] as const) {
  t.test(`links go, folders and what links lead to stay: ${title}`, async t => {
    const folder = folderOf(t, ['file', 'target'])
    mkdirSync(join(folder, 'folder'))
    symlinkSync('target', join(folder, 'link'))
    symlinkSync('folder', join(folder, 'link-to-folder'))
    const queue = new FileRemovals({ command: () => removalCommand(find), childMs: PATIENCE_MS })
    queue.add(folder, ['nothing', 'folder', 'link', 'link-to-folder', 'file'], null)
    t.equal(await queue.settled(PATIENCE_MS), true)
    t.same(readdirSync(folder), ['folder', 'target'])
  })
}

t.test('so many names wait, and the rest goes the next time', async t => {
  const queue = new FileRemovals({ command: () => ['/bin/true'], childMs: PATIENCE_MS })
  const folder = scratchFolder(t)
  const names = Array.from({ length: MOST_NAMES }, (_, at) => String(at))
  t.equal(queue.add(folder, [...names, 'one more'], null), false)
  t.equal(await queue.settled(PATIENCE_MS), true)
  t.equal(queue.add(folder, names, null), true)
  t.equal(queue.add(folder, names.slice(0, 9), null), true, 'they wait already')
  t.equal(queue.add(folder, ['one more'], null), false)
  t.equal(await queue.settled(PATIENCE_MS), true)
  t.equal(queue.add(folder, ['one more'], null), true)
  t.equal(await queue.settled(PATIENCE_MS), true)
})

t.test('a child that does not end is given up, and the next one goes on', async t => {
  const [slow, other] = [folderOf(t, ['a']), folderOf(t, ['b'])]
  const commands = [['/bin/sh', '-c', 'exec sleep 600', 'sh'], removalCommand(), removalCommand()]
  const queue = new FileRemovals({ command: () => commands.shift() ?? [], childMs: 1000 })
  queue.add(slow, ['a'], null)
  queue.add(other, ['b'], null)
  t.equal(await queue.settled(20), false, 'nobody waits longer than wanted')
  t.equal(await queue.settled(PATIENCE_MS), true)
  t.same([readdirSync(slow), readdirSync(other)], [['a'], []])
  queue.add(slow, ['a'], null)
  t.equal(await queue.settled(PATIENCE_MS), true)
  t.same(readdirSync(slow), [], 'asked for again')
})

t.test('what cannot be started is left', async t => {
  const folder = folderOf(t, ['a'])
  const queue = new FileRemovals({ command: () => ['/nowhere/rm'] })
  for (const place of [folder, join(folder, 'nowhere')]) queue.add(place, ['a'], null)
  t.equal(await queue.settled(PATIENCE_MS), true)
  t.same(readdirSync(folder), ['a'])
})

t.test('as the user that is named, in the folder that is meant', needsRoot, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const [own, roots, swapped] = ['own', 'roots', 'swapped'].map(name => join(top, name)) as [string, string, string]
  for (const folder of [own, roots, swapped]) {
    mkdirSync(folder)
    writeFileSync(join(folder, 'a'), '')
  }
  for (const folder of [own, swapped]) chownSync(folder, nobody.uid, nobody.gid)
  for (const folder of [own, roots, swapped]) removals.add(folder, ['a'], nobody)
  renameSync(swapped, `${swapped}.before`)
  symlinkSync('roots', swapped)
  lchownSync(swapped, nobody.uid, nobody.gid)
  t.equal(await removals.settled(PATIENCE_MS), true)
  t.same([readdirSync(own), readdirSync(roots)], [[], ['a']])
  removals.add(roots, ['a'], null)
  t.equal(await removals.settled(PATIENCE_MS), true)
  t.same(readdirSync(roots), [])
})

const workerNames = ['worker-1.sock', 'worker-1.link', 'worker-1.tunnel', 'worker-1.watch']
const snapshots = [1, 2, 3].map(pid => `daimyo-slot1-pid${pid}-20260101T000000Z.heapsnapshot.partial`)
const logs = [1, 2, 3, 4].map(day => `daimyo.log.2026-01-0${day}T00-00-00`)

/** What asks for a removal; `kept`: besides, there is afterwards. */
const askers: [title: string, names: readonly string[], ask: (folder: string) => unknown, kept: readonly RegExp[]][] = [
  [
    'a worker that has ended',
    workerNames,
    folder => {
      const paths = workerNames.map(name => join(folder, name))
      removeWorkerNames(paths, null)
    },
    [],
  ],
  ['a master that ends or begins', workerNames, folder => clearWorkerNames(folder, null), []],
  ['heap snapshots', snapshots, folder => autopsiesIn(folder).begin(), []],
  [
    'half a heap snapshot',
    [],
    folder => {
      const { begin, end } = autopsiesIn(folder)
      writeFileSync(`${begin()}.partial`, '{')
      end()
    },
    [],
  ],
  [
    'rotated logs',
    logs,
    folder => {
      writeFileSync(join(folder, 'daimyo.log'), 'lines')
      backUpLog(join(folder, 'daimyo.log'), new Date('2026-02-01T00:00:00Z'), 1)
    },
    [/^daimyo\.log\.2026-02/],
  ],
]
for (const [title, names, ask, kept] of askers) {
  t.test(`the master itself removes nothing: ${title}`, async t => {
    const folder = folderOf(t, names)
    const old = new Date('2026-01-01T00:00:00Z')
    for (const name of names) utimesSync(join(folder, name), old, old)
    ask(folder)
    const found = readdirSync(folder)
    t.same(
      names.filter(name => !found.includes(name)),
      [],
      'all are still there',
    )
    t.ok(found.length > 0)
    t.equal(await removals.settled(PATIENCE_MS), true)
    t.match(readdirSync(folder), kept)
    t.equal(readdirSync(folder).length, kept.length)
  })
}

/** Those of one worker that leaks. */
function autopsiesIn(folder: string) {
  const worker = {
    address: { slot: 1, pid: 9 },
    life: { why: 'reload-on-rss' },
    generation: {
      settings: { leakAutopsy: folder, leakAutopsyFiles: 1, reloadOnRssBytes: 1, credentials: null },
    },
  } as unknown as WorkerHandle
  const autopsies = new LeakAutopsies({ nowMs: () => 0, log: () => {} } as unknown as MasterContext)
  return { begin: () => autopsies.begin(worker), end: () => autopsies.end(worker) }
}

t.test('the master does not look for what a worker of another user has left', needsRoot, async t => {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'workers'))
  const paths = workerNames.map(name => join(folder, 'workers', name))
  chownSync(join(folder, 'workers'), nobody.uid, nobody.gid)
  const before = identitySwitches()
  removeWorkerNames(paths, nobody)
  // So they are not looked for here: a folder that somebody has locked would be waited for.
  for (const path of paths) writeFileSync(path, '')
  t.equal(await removals.settled(PATIENCE_MS), true)
  t.same(readdirSync(join(folder, 'workers')), [])
  t.equal(identitySwitches(), before)
})

t.test('a planted folder is moved at the start only', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'worker-1.sock')
  mkdirSync(join(path, 'below'), { recursive: true })
  removeWorkerNames([path, join(folder, 'worker-1.link')], null)
  t.equal(await removals.settled(PATIENCE_MS), true)
  t.ok(existsSync(path))
  clearWorkerNames(folder, null)
  const [moved = ''] = readdirSync(folder)
  t.match(moved, /^worker-1\.sock\.planted-[0-9a-f]{16}$/)
  t.same(readdirSync(join(folder, basename(moved))), ['below'])
})
