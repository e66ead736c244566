/** Tests `supervisor/doctor/unwritable-paths.ts`: which files of an INI the user of a unit cannot write. */

import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type UnitFound, unwritablePaths, writtenBy } from '../../../supervisor/doctor/unwritable-paths.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const unit = (change: Partial<UnitFound> = {}) =>
  ({ user: 'nobody', group: '', hasSockets: false, ...change }) as UnitFound
const plain = { logto: null, pidfile: null, http: [], metrics: null, runDir: '/run/daimyo/site' }
const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

t.test('what a master writes', async t => {
  const folder = scratchFolder(t)
  const there = join(folder, 'there.log')
  writeFileSync(there, '')
  const socket = (path: string) => ({ kind: 'unix' as const, path })
  const cases: [title: string, settings: Parameters<typeof writtenBy>[0], unit: UnitFound | null, paths: string[]][] = [
    ['nothing', plain, unit(), []],
    ['a log that is there', { ...plain, logto: there }, unit(), [`logto ${there}`]],
    ['one that is not', { ...plain, logto: join(folder, 'x.log') }, unit(), [`logto ${folder}`]],
    ['a pidfile', { ...plain, pidfile: join(folder, 'x.pid') }, unit(), [`pidfile ${folder}`]],
    ['one in the run folder', { ...plain, pidfile: '/run/daimyo/site/x.pid' }, unit(), []],
    ['sockets', { ...plain, http: [socket(join(folder, 's'))] }, unit(), [`http ${folder}`]],
    ['sockets of a unit', { ...plain, http: [socket(join(folder, 's'))] }, unit({ hasSockets: true }), []],
    ['the metrics', { ...plain, metrics: socket(join(folder, 'm')) }, unit(), [`metrics ${folder}`]],
    ['a run folder', { ...plain, runDir: join(folder, 'a/b') }, unit(), [`run-dir ${folder}`]],
    ['a run folder that systemd makes', plain, unit(), []],
    ['one without a unit', { ...plain, runDir: '/run/nowhere/x' }, null, ['run-dir /run']],
  ]
  for (const [title, settings, unit, paths] of cases) {
    const found = writtenBy(settings, unit).map(({ option, path }) => `${option} ${path}`)
    t.same(found, paths, title)
  }
})

t.test('root asks as the user of the unit', { skip: !isRoot && 'needs root, to ask as another user' }, async t => {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  const path = (name: string) => join(folder, name)
  for (const name of ['open', 'closed']) mkdirSync(path(name))
  chownSync(path('open'), NOBODY, NOBODY)
  writeFileSync(path('open/roots.log'), '', { mode: 0o644 })
  const logs: [title: string, logto: string, unwritable: string[]][] = [
    ['a folder of its own', path('open/x.log'), []],
    ["root's folder", path('closed/x.log'), [path('closed')]],
    ["root's file in a folder of its own", path('open/roots.log'), [path('open/roots.log')]],
  ]
  for (const [title, logto, unwritable] of logs) {
    const found = await unwritablePaths({ ...plain, logto }, unit())
    t.equal(found?.user, 'nobody')
    t.same(
      found?.paths.map(({ path }) => path),
      unwritable,
      title,
    )
  }
  t.same(readdirSync(path('open')), ['roots.log'], 'nothing was made')
  for (const user of ['', 'root', 'no-such-user']) {
    t.equal(await unwritablePaths({ ...plain, logto: path('closed/x.log') }, unit({ user })), null, `"${user}"`)
  }
  t.equal(await unwritablePaths({ ...plain, logto: path('closed/x.log') }, null), null, 'no unit: the master is root')
})
