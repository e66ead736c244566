/** `supervisor/rotation/master-log.ts`: who opens the master's log at its start, and what it may be. */

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HERE, TaskChildren } from '../../../supervisor/child/task-children.js'
import { openFirstLog, openMasterLog } from '../../../supervisor/rotation/master-log.js'
import { groupsOf, identitySwitches } from '../../../supervisor/user/service-user.js'
import { holdFifo, noLockedFifo } from '../fixtures/locked-fifo.js'
import { maySeeDescriptors } from '../fixtures/own-capabilities.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }
const nobody = { user: null, uid: 65_534, gid: 65_534 }
const tasksOf = (taskMs = 60_000) => new TaskChildren({ taskMs })

/** A folder of root's that holds one of that user's. */
function folders(t: { teardown(work: () => void): unknown }) {
  const roots = scratchFolder(t)
  chmodSync(roots, 0o755)
  const theirs = join(roots, 'theirs')
  mkdirSync(theirs)
  chownSync(theirs, nobody.uid, nobody.gid)
  return { roots, theirs }
}

t.test('in their folder another process makes it, and it is theirs', needsRoot, async t => {
  const path = join(folders(t).theirs, 'a.log')
  groupsOf(nobody)
  const before = identitySwitches()
  const fd = await openFirstLog(path, nobody, tasksOf())
  if (maySeeDescriptors()) t.equal(identitySwitches(), before)
  writeSync(fd, 'log')
  closeSync(fd)
  t.equal(readFileSync(path, 'utf8'), 'log')
  t.match(statSync(path), { uid: nobody.uid, gid: nobody.gid })
  const here = await openFirstLog(path, nobody, HERE)
  writeSync(here, 's')
  closeSync(here)
  t.equal(readFileSync(path, 'utf8'), 'logs')
})

t.test('a FIFO is refused in their folder, and taken in one of root’s', needsRoot, async t => {
  const { roots, theirs } = folders(t)
  for (const folder of [roots, theirs]) spawnSync('mkfifo', ['-m', '666', join(folder, 'a.log')])
  const readers = [roots, theirs].map(folder => openSync(join(folder, 'a.log'), 'r+'))
  const refusal = { code: 'log', exitCode: 77, message: /it is not a regular file: .*theirs belongs to nobody/ }
  t.throws(() => openMasterLog(join(theirs, 'a.log'), nobody), refusal)
  await t.rejects(openFirstLog(join(theirs, 'a.log'), nobody, tasksOf()), refusal)
  closeSync(await openFirstLog(join(roots, 'a.log'), nobody, tasksOf()))
  for (const reader of readers) closeSync(reader)
})

t.test('a link, and a folder that is gone', needsRoot, async t => {
  const { theirs } = folders(t)
  symlinkSync('/etc/passwd', join(theirs, 'link.log'))
  await t.rejects(openFirstLog(join(theirs, 'link.log'), nobody, tasksOf()), { code: 'log', exitCode: 77 })
  await t.rejects(openFirstLog(join(theirs, 'none', 'a.log'), nobody, tasksOf()), { code: 'log', exitCode: 71 })
})

t.test('a FIFO whose lock is held is no reason to wait', { skip: noLockedFifo }, async t => {
  const path = join(folders(t).theirs, 'a.log')
  await holdFifo(t, path)
  await t.rejects(openFirstLog(path, nobody, tasksOf(500)), {
    code: 'late',
    exitCode: 71,
    message: /^cannot open the log: logto=\S+: the file system has not answered within 500 ms$/,
  })
})
