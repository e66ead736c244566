/** `supervisor/child/task-children.ts`: what another process does for a root master, and that one which waits in the kernel is not waited for. */

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { releaseTask } from '../../../supervisor/child/release.js'
import { HERE, TaskChildren } from '../../../supervisor/child/task-children.js'
import { readingTask, readSettings } from '../../../supervisor/config/read-settings.js'
import { holdWritten, pidfileTasks, type WrittenPidfile } from '../../../supervisor/host/pidfile.js'
import { hasOpen } from '../../../supervisor/host/process-presence.js'
import { identitySwitches } from '../../../supervisor/user/service-user.js'
import { holdFifo, noLockedFifo } from '../fixtures/locked-fifo.js'
import { maySeeDescriptors } from '../fixtures/own-capabilities.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }
const needsFifo = { skip: noLockedFifo }
const nobody = { user: null, uid: 65_534, gid: 65_534 }
const FOR_NOBODY = { credentials: nobody, what: 'cannot look' }
const PATIENCE_MS = 60_000

/** A folder of that user's, which it can reach. */
function theirFolder(t: { teardown(work: () => void): unknown }): string {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const folder = join(top, 'theirs')
  mkdirSync(folder)
  chownSync(folder, nobody.uid, nobody.gid)
  return folder
}

/** A process of this shell script in place of ours. */
const tasksOf = (script: string, taskMs = PATIENCE_MS) =>
  new TaskChildren({ command: ['/bin/sh', '-c', script, 'sh'], taskMs })
const checkOf = (path: string) => [pidfileTasks.check, { path, credentials: nobody, own: 1 }] as const

t.test('the configuration is read as here, and the master becomes nobody', needsRoot, async t => {
  const folder = theirFolder(t)
  const ini = join(folder, '..', 'site.ini')
  for (const name of ['page', 'variables']) writeFileSync(join(folder, name), 'NAME=value')
  const lines = [
    'http = 127.0.0.1:0',
    `app = ${join(folder, 'page')}`,
    'uid = nobody',
    `error-page = 503=${join(folder, 'page')}`,
  ]
  writeFileSync(ini, ['[uwsgi]', ...lines, `env-file = ${join(folder, 'variables')}`].join('\n'))
  const source = { iniPath: ini, flags: [], environment: { HOME: '/root' }, cwd: '/' }
  const expected = readSettings(source)
  t.ok(expected.settings, JSON.stringify(expected.mistakes))
  const before = identitySwitches()
  const { reading, groups } = await new TaskChildren({ taskMs: PATIENCE_MS }).run(readingTask, source, FOR_NOBODY)
  t.same(reading, expected)
  t.equal(groups?.[0], expected.settings?.credentials?.gid)
  t.equal(identitySwitches(), before)
})

t.test('a release, with the reason where there is none', needsRoot, async t => {
  const folder = theirFolder(t)
  writeFileSync(join(folder, 'app.js'), '')
  symlinkSync('/root', join(folder, 'closed'))
  const nothing = { staticMap: [], checkStatic: [], staticSafe: [], internal: [], xSendfileRoot: [] }
  const settings = { ...nothing, credentials: nobody, app: 'app.js', chdir: folder, startFolder: '/' }
  const tasks = new TaskChildren({ taskMs: PATIENCE_MS })
  t.match(await tasks.run(releaseTask, settings, FOR_NOBODY), { app: join(folder, 'app.js'), chdir: folder })
  for (const app of ['gone.js', 'closed/app.js'])
    await t.rejects(tasks.run(releaseTask, { ...settings, app }, FOR_NOBODY), {
      code: 'release',
      exitCode: 69,
      message: /^cannot use the release: app=/,
    })
})

t.test('a pidfile is written as its user, held, and let go by its process', needsRoot, async t => {
  const path = join(theirFolder(t), 'daimyo.pid')
  const request = { path, credentials: nobody, own: process.pid }
  const tasks = new TaskChildren({ taskMs: PATIENCE_MS })
  const held: (number | null)[] = []
  const taking = (pid: number, written: unknown) => held.push(holdWritten(pid, written as WrittenPidfile, request))
  const before = identitySwitches()
  await tasks.run(pidfileTasks.check, request, FOR_NOBODY)
  await tasks.run(pidfileTasks.write, request, { ...FOR_NOBODY, taking })
  t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`)
  t.match(statSync(path), { uid: nobody.uid, gid: nobody.gid })
  t.ok(hasOpen(process.pid, statSync(path)))
  const descriptors = held.filter(fd => fd !== null)
  t.equal(await tasks.run(pidfileTasks.remove, request, { ...FOR_NOBODY, descriptors }), true)
  for (const fd of descriptors) closeSync(fd)
  t.throws(() => statSync(path), { code: 'ENOENT' })
  if (maySeeDescriptors()) t.equal(identitySwitches(), before)
  execFileSync('ln', ['-s', '/etc/passwd', path])
  await t.rejects(tasks.run(pidfileTasks.check, request, FOR_NOBODY), { code: 'pidfile', exitCode: 77 })
})

t.test(
  'a process that waits for the lock of a FIFO is not waited for, and others are not started',
  needsFifo,
  async t => {
    const path = join(theirFolder(t), 'daimyo.pid')
    const letGo = await holdFifo(t, path)
    const tasks = new TaskChildren()
    // Long enough for a process to come to the lock on a busy machine.
    const options = { ...FOR_NOBODY, withinMs: 3000 }
    for (let time = 0; time < 2; time++)
      await t.rejects(tasks.run(...checkOf(path), options), {
        code: 'late',
        exitCode: 71,
        message: 'cannot look: the file system has not answered within 3000 ms',
      })
    await t.rejects(tasks.run(...checkOf(path), options), /earlier processes still wait for the file system/)
    const other = { path: `${path}.other`, credentials: nobody, own: 1 }
    t.equal(await tasks.run(pidfileTasks.remove, other, { ...FOR_NOBODY, withinMs: PATIENCE_MS }), true, 'another task')
    letGo()
    for (;;) {
      const why = await tasks.run(...checkOf(path), { ...options, withinMs: PATIENCE_MS }).catch(error => error)
      if (/earlier processes/.test(why.message)) {
        await new Promise(setImmediate)
        continue
      }
      return void t.match(why, /it is not a regular file/)
    }
  },
)

const answers: [title: string, script: string, expected: RegExp][] = [
  ['nothing', ':', /its process has ended/],
  ['half', 'printf a', /its process has ended/],
  ['without end', 'exec yes', /the file system has not answered|more than \d+ bytes/],
  ['not at all', 'exec sleep 600', /the file system has not answered within 300 ms/],
]
for (const [title, script, expected] of answers) {
  t.test(`a process that answers ${title}`, needsRoot, async t => {
    const tasks = tasksOf(script, title === 'not at all' ? 300 : PATIENCE_MS)
    await t.rejects(tasks.run(...checkOf('/no/such/file'), FOR_NOBODY), expected)
  })
}

t.test('a program that is gone, and files of another build', needsRoot, async t => {
  const gone = new TaskChildren({ command: ['/no/such/program'] })
  await t.rejects(gone.run(...checkOf('/no/such/file'), FOR_NOBODY), /cannot look: .*ENOENT/)
  const answer = `process.stdout.write(require('v8').serialize({ type: 'other-build' }))`
  const other = new TaskChildren({ command: [process.execPath, '-e', answer, '--'], taskMs: PATIENCE_MS })
  let here = 0
  other.doHere(async work => {
    here++
    return work()
  })
  await other.run(...checkOf('/no/such/file'), FOR_NOBODY)
  t.equal(here, 1)
})

t.test('without another user all is done here', async t => {
  for (const tasks of [HERE, tasksOf('exit 1')])
    await t.rejects(tasks.run({ name: 'any', work: () => JSON.parse('{') }, null, { credentials: null, what: '' }), {
      name: 'SyntaxError',
    })
})
