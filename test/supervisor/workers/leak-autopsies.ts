/** Which worker writes a heap snapshot: `supervisor/workers/leak-autopsies.ts`. */

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import type { Credentials } from '../../../kit/channel/messages.js'
import type { MasterContext } from '../../../supervisor/child/master-context.js'
import { TaskChildren } from '../../../supervisor/child/task-children.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { groupsOf, identitySwitches } from '../../../supervisor/user/service-user.js'
import {
  AUTOPSY_EVERY_MS,
  type AutopsyFacts,
  LeakAutopsies,
  whyNoAutopsy,
} from '../../../supervisor/workers/leak-autopsies.js'
import type { WorkerHandle } from '../../../supervisor/workers/worker-handle.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const GB = 1024 ** 3
/** What has been asked for so far is removed. */
const removed = () => removals.settled(60_000)
const cases: [title: string, facts: Partial<AutopsyFacts>, expected: string | null][] = [
  ['the first', {}, null],
  ['an hour later', { sinceMs: AUTOPSY_EVERY_MS }, null],
  ['too soon', { sinceMs: AUTOPSY_EVERY_MS - 1 }, 'one-an-hour'],
  ['while another one is written', { isRunning: true }, 'another-is-written'],
  ['a full disk', { freeBytes: GB, neededBytes: GB }, 'disk-lacks-room'],
]

for (const [title, facts, expected] of cases) {
  t.test(title, t => {
    const room = { freeBytes: 100 * GB, neededBytes: GB }
    t.equal(whyNoAutopsy({ sinceMs: Number.POSITIVE_INFINITY, isRunning: false, ...room, ...facts }), expected)
    t.end()
  })
}

/** Autopsies of a folder at a time that the test sets, and what they told. */
function open(
  t: { teardown(work: () => unknown): unknown },
  files: number,
  reloadOnRssBytes = 1,
  credentials: Credentials | null = null,
) {
  const folder = scratchFolder(t)
  const clock = { nowMs: 0 }
  const told: unknown[] = []
  const log = (_: string, fields: { why: string }) => told.push(fields.why)
  const context = { nowMs: () => clock.nowMs, log, tasks: new TaskChildren() }
  const worker = (pid: number, why = 'reload-on-rss') =>
    ({
      address: { slot: 1, pid },
      life: { why },
      generation: { settings: { leakAutopsy: folder, leakAutopsyFiles: files, reloadOnRssBytes, credentials } },
    }) as unknown as WorkerHandle
  return { folder, clock, told, worker, autopsies: new LeakAutopsies(context as unknown as MasterContext) }
}

const old = (path: string, hours: number) => {
  writeFileSync(path, '')
  const seconds = Date.now() / 1000 - hours * 3600
  utimesSync(path, seconds, seconds)
}

t.test('only leaks, one at a time, and half a file goes with its worker', async t => {
  const { autopsies, worker, clock, told } = open(t, 3)
  t.equal(autopsies.begin(worker(1, 'max-requests')), null)
  const [first, second] = [worker(2), worker(3)]
  const path = autopsies.begin(first)
  t.match(path, /\/daimyo-slot1-pid2-\d{8}T\d{6}Z\.heapsnapshot$/)
  writeFileSync(`${path}.partial`, '')
  t.equal(autopsies.begin(second), null)
  autopsies.end(second)
  t.ok(existsSync(`${path}.partial`), 'it is another one’s')
  autopsies.end(first)
  await removed()
  t.notOk(existsSync(`${path}.partial`))
  t.equal(autopsies.begin(second), null)
  clock.nowMs += AUTOPSY_EVERY_MS
  t.not(autopsies.begin(second), null)
  t.same(told, ['another-is-written', 'one-an-hour'])
})

t.test('the oldest make room, and nothing else does', async t => {
  const { folder, autopsies, worker } = open(t, 2)
  const name = (pid: number) => join(folder, `daimyo-slot1-pid${pid}-20260101T000000Z.heapsnapshot`)
  old(name(1), 5)
  old(name(2), 2)
  old(name(3), 9)
  old(`${name(4)}.partial`, 9)
  old(join(folder, 'mine.heapsnapshot'), 99)
  symlinkSync('/nowhere', name(5))
  mkdirSync(name(6))
  t.not(autopsies.begin(worker(7)), null)
  await removed()
  const left = readdirSync(folder).sort()
  t.same(left, [2, 5, 6].map(pid => name(pid).slice(folder.length + 1)).concat('mine.heapsnapshot'))
})

t.test('an earlier master’s snapshot counts for the hour', t => {
  const { folder, autopsies, worker, told } = open(t, 2)
  old(join(folder, 'daimyo-slot1-pid1-20260101T000000Z.heapsnapshot'), 0.5)
  t.equal(autopsies.begin(worker(7)), null)
  t.same(told, ['one-an-hour'])
  t.end()
})

t.test('no room, or no folder', t => {
  const { autopsies, worker, told } = open(t, 2, Number.MAX_SAFE_INTEGER)
  t.equal(autopsies.begin(worker(1)), null)
  const gone = worker(2)
  gone.generation.settings.leakAutopsy = '/nowhere'
  t.equal(autopsies.begin(gone), null)
  t.match(told, ['disk-lacks-room', /ENOENT/])
  t.end()
})

t.test(
  'a folder that its user swaps for a link loses nothing that is root’s',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async t => {
    const nobody = { user: 'nobody', uid: 65_534, gid: 65_534 }
    const { folder, autopsies, worker, told } = open(t, 1, 1, nobody)
    const roots = scratchFolder(t)
    chmodSync(dirname(folder), 0o755)
    chownSync(folder, nobody.uid, nobody.gid)
    const leaking = worker(1)
    const path = (await autopsies.begin(leaking)) ?? ''
    const kept = [`${basename(path)}.partial`, 'daimyo-slot1-pid7-20200101T000000Z.heapsnapshot']
    for (const name of kept) old(join(roots, name), 2)
    renameSync(folder, `${folder}.before`)
    t.teardown(() => rmSync(`${folder}.before`, { recursive: true }))
    symlinkSync(roots, folder)
    autopsies.end(leaking)
    t.equal(await autopsies.begin(worker(2)), null)
    t.match(told, [/EACCES/])
    await removed()
    t.same(readdirSync(roots).sort(), kept.sort())
  },
)

const theirs = { user: null, uid: 65_534, gid: 65_534 }
/** As `open`, of a folder of that user's. */
function openTheirs(t: Parameters<typeof open>[0]) {
  const opened = open(t, 1, 1, theirs)
  chmodSync(dirname(opened.folder), 0o755)
  chownSync(opened.folder, theirs.uid, theirs.gid)
  return opened
}
const needsRoot = { skip: process.getuid?.() !== 0 && 'needs root' }

t.test('a folder of another user is looked at, and left, by other processes', needsRoot, async t => {
  const { folder, autopsies, worker } = openTheirs(t)
  groupsOf(theirs)
  const before = identitySwitches()
  old(join(folder, 'daimyo-slot1-pid7-20200101T000000Z.heapsnapshot'), 2)
  const leaking = worker(1)
  const path = await autopsies.begin(leaking)
  t.match(path, /\/daimyo-slot1-pid1-/)
  writeFileSync(`${path}.partial`, '')
  autopsies.end(leaking)
  await removed()
  t.same(readdirSync(folder), [])
  t.equal(identitySwitches(), before)
})

t.test('a worker that ends while its folder is looked at', needsRoot, async t => {
  const { clock, autopsies, worker } = openTheirs(t)
  const leaking = worker(1)
  const path = autopsies.begin(leaking)
  autopsies.end(leaking)
  t.equal(await path, null)
  clock.nowMs += AUTOPSY_EVERY_MS
  t.match(await autopsies.begin(worker(2)), /pid2/, 'it is in nobody’s way')
})
