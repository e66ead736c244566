/** `supervisor/user/folder-names.ts`, and what those who use it make of a folder that others have filled. */

import { linkSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { MasterContext } from '../../../supervisor/child/master-context.js'
import { realFiles } from '../../../supervisor/config/ini/config-files.js'
import { backUpLog, backupsAmong } from '../../../supervisor/rotation/log-backup.js'
import { LogChild } from '../../../supervisor/rotation/log-child.js'
import { LogRotation } from '../../../supervisor/rotation/log-rotation.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { MOST_ENTRIES, namesIn, PacedLooks } from '../../../supervisor/user/folder-names.js'
import { LeakAutopsies } from '../../../supervisor/workers/leak-autopsies.js'
import type { WorkerHandle } from '../../../supervisor/workers/worker-handle.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

/** A folder with so many names, as its owner would plant them. */
function crowdedFolder(t: Test, nameOf: (at: number) => string, count: number): string {
  const folder = scratchFolder(t)
  const first = join(folder, nameOf(0))
  writeFileSync(first, '')
  for (let at = 1; at < count; at++) linkSync(first, join(folder, nameOf(at)))
  return folder
}

const MORE = MOST_ENTRIES + 2000
const two = (number: number) => String(number).padStart(2, '0')
/** A name for each second of a day. */
const backupOf = (at: number) =>
  `daimyo.log.2020-01-01T${two(Math.floor(at / 3600))}-${two(Math.floor(at / 60) % 60)}-${two(at % 60)}`
const snapshotOf = (at: number) => `daimyo-slot1-pid${at}-20260101T000000Z.heapsnapshot`

t.test('so many names are read, and no more', async t => {
  const folder = crowdedFolder(t, String, 12)
  const all = namesIn(folder, 12)
  t.same(all.names.sort(), readdirSync(folder).sort())
  t.equal(all.isWhole, true)
  const some = namesIn(folder, 11)
  t.equal(some.names.length, 11)
  t.equal(some.isWhole, false)
  t.throws(() => namesIn(join(folder, 'nowhere')), { code: 'ENOENT' })
})

t.test('behind a slow look there is none for a while', async t => {
  let nowMs = 0
  const looks = new PacedLooks(() => nowMs)
  const look = (tookMs: number) => {
    const { isDue } = looks
    if (isDue) {
      nowMs += tookMs
      looks.took(tookMs)
    }
    return isDue
  }
  t.equal(look(19), true)
  t.equal(look(100), true, 'the one before was quick')
  for (const pauseMs of [0, 5000, 4999]) {
    nowMs += pauseMs
    t.equal(look(100), false)
  }
  nowMs += 1
  t.equal(look(0), true)
})

t.test('a log is moved away when its folder is not looked at', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  writeFileSync(path, 'log')
  const now = new Date('2026-11-21T10:00:00Z')
  t.match(backUpLog(path, now, 1, { namesIn: () => null, crowded: () => t.fail('nobody knows') }), /T10-00-00$/)
})

t.test('a log is rotated, and the first of what was planted goes', async t => {
  const folder = crowdedFolder(t, backupOf, MORE)
  const path = join(folder, 'daimyo.log')
  const told: string[] = []
  let laterMs = 0
  const child = new LogChild({ path, owner: null, pipes: testPipes(t), childMs: 60_000 })
  const rotation = new LogRotation({
    folder,
    // What it is: the rotation looks each second too, and must not move the new one.
    sizeBytes: () => statSync(path).size,
    child,
    pruner: new LogChild(child.options),
    maxBytes: 5,
    backups: 2,
    looks: new PacedLooks(() => laterMs++ * 3_600_000),
    reopen: async move => {
      await move()
      told.push('reopen')
      return null
    },
    log: (event, fields) => void told.push(`${event} ${fields?.folder} ${fields?.why}`),
  })
  t.teardown(() => rotation.stop())
  for (const text of ['first', 'second']) {
    writeFileSync(path, text)
    const before = readdirSync(folder).length
    await rotation.look()
    await removals.settled(60_000)
    const left = readdirSync(folder)
    t.equal(left.length, before + 1 - 1000, 'a thousand at a time')
    const newest = backupsAmong(left, 'daimyo.log').at(-1) ?? ''
    t.equal(readFileSync(join(folder, newest), 'utf8'), text, 'what was written last is kept')
  }
  const said = `log-folder-crowded ${folder} it holds more files than daimyo checks: remove the foreign ones`
  t.same(told, [said, 'reopen', 'reopen'], 'told once')
})

t.test('names that nobody has seen are not replaced', async t => {
  const now = new Date('2026-11-21T10:00:00Z')
  const dated = 'daimyo.log.2026-11-21T10-00-00'
  const places = Array.from({ length: 1000 }, (_, at) => (at === 0 ? dated : `${dated}.${String(at).padStart(3, '0')}`))
  const taken: [title: string, names: string[], expected: RegExp | null][] = [
    ['the last place of the second', [`${dated}.999`], /T10-00-00(\.\d{3})?$/],
    ['all places', places, null],
  ]
  for (const [title, names, expected] of taken) {
    const folder = scratchFolder(t)
    for (const name of names) writeFileSync(join(folder, name), 'planted')
    const path = join(folder, 'daimyo.log')
    writeFileSync(path, 'log')
    if (expected === null) t.throws(() => backUpLog(path, now, 2000), { code: 'log-backup' }, title)
    else t.match(backUpLog(path, now), expected, title)
    for (const name of names) t.equal(readFileSync(join(folder, name), 'utf8'), 'planted')
  }
})

const crowds: [title: string, nameOf: (at: number) => string, count: number][] = [
  ['snapshots', snapshotOf, 1500],
  ['anything', String, MORE],
]
for (const [title, nameOf, count] of crowds) {
  t.test(`an autopsy is refused in a folder full of: ${title}`, async t => {
    const folder = crowdedFolder(t, nameOf, count)
    const told: unknown[] = []
    const context = { nowMs: () => 0, log: (event: string, fields: object) => told.push({ event, ...fields }) }
    const worker = {
      address: { slot: 1, pid: 2 },
      life: { why: 'reload-on-rss' },
      generation: {
        settings: { leakAutopsy: folder, leakAutopsyFiles: 2, reloadOnRssBytes: 1, credentials: null },
      },
    }
    const autopsies = new LeakAutopsies(context as unknown as MasterContext)
    t.equal(autopsies.begin(worker as unknown as WorkerHandle), null)
    t.match(told, [{ event: 'autopsy-refused', why: /holds more files than .*: remove the foreign ones/ }])
    t.equal(readdirSync(folder).length, count, 'and nothing is removed')
  })
}

t.test('a folder of the configuration', async t => {
  t.match(realFiles.list(crowdedFolder(t, String, MORE)), { ok: false, why: /more files than daimyo checks/ })
})
