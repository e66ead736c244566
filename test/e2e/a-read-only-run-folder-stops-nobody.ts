/** A run folder that becomes read-only, or full, while it is in use keeps no one from being served: what runs goes on, what cannot start says why, and comes back with the folder. */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, unlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { codeOf, EXIT } from '../../kit/ground/failure.js'
import { ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const isRoot = process.getuid?.() === 0

/** Root writes wherever it likes but on a file system that is read-only. The result makes it writable again. */
function makeReadOnly(t: { teardown(work: () => unknown): unknown }, folder: string): (() => void) | null {
  if (!isRoot) {
    chmodSync(folder, 0o500)
    return () => chmodSync(folder, 0o750)
  }
  if (spawnSync('mount', ['--bind', folder, folder]).status !== 0) return null
  t.teardown(() => spawnSync('umount', ['-l', folder]))
  spawnSync('mount', ['-o', 'remount,bind,ro', folder])
  return () => spawnSync('mount', ['-o', 'remount,bind,rw', folder])
}

const app = `require('node:http').createServer((request, response) => response.end(String(process.pid))).listen(3000)`

t.test('while it serves', async t => {
  const expected = [
    /EROFS|EACCES|Emitted 'error' event|reload-failed/,
    /worker-exit .*(signal=SIGKILL|code=1) why=died/,
    /^\s+at |^ {2}/,
  ]
  const site = new WatchedSite(t, ['processes = 2', 'disable-logging = true'], { app, expected })
  const running = await site.serve()
  const makeWritable = makeReadOnly(t, site.path('run'))
  if (makeWritable === null) return void t.comment('nothing can be mounted here')
  const client = new SteadyClient(t, running.url, 50, () => ({ path: '/' }))
  const victim = (await site.status()).workers[0]?.pid ?? 0
  process.kill(victim, 'SIGKILL')
  // It cannot make its socket.
  const told = /(EROFS|EACCES)(.|\n)* worker-exit slot=1 .*code=1 why=died/
  await until('its successor cannot start', () => told.test(running.out()))
  t.match((await site.status()).workers, [{ slot: 1 }, { slot: 2, phase: 'ready' }])
  const { code, err } = await site.run('reload', site.ini)
  t.equal(code, EXIT.failed, 'a reload fails')
  t.match(err, /EROFS|EACCES/, 'and says why')
  t.match(await ask(running.url, '/'), { status: 200 })
  makeWritable()
  t.match(await site.run('reload', site.ini), { code: 0 }, 'it does not wait for the slot to be tried again')
  const { workers } = await site.untilReady()
  t.equal(workers.length, 2, 'the slot is filled again')
  t.same(failuresAmong(await client.stop()), [], 'nobody noticed')
  t.match(await site.end(running), { code: 0 })
})

t.test('at the start', async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app, expected: [/cannot use the run folder|cannot start/] })
  mkdirSync(site.path('run'), { mode: 0o750 })
  const makeWritable = makeReadOnly(t, site.path('run'))
  if (makeWritable === null) return void t.comment('nothing can be mounted here')
  const { code, out, err } = await site.run(site.ini)
  makeWritable()
  t.ok(code === EXIT.permission || code === EXIT.os, `exit code ${code}`)
  t.match(err, /^daimyo: .*run.*(EROFS|EACCES|read-only|permission denied)/im)
  t.equal(out, '')
  await until('nothing is left', () => site.processes().length === 0)
})

t.test('without room', { skip: !isRoot && 'needs root' }, async t => {
  const expected = [
    /ENOSPC|No space left|Emitted 'error' event|reload-failed|used up/,
    /worker-exit .*(signal=SIGKILL|code=1) why=/,
    /^\s+at |^ {2}/,
  ]
  const lines = ['processes = 2', 'disable-logging = true', 'uid = www-data']
  const site = new WatchedSite(t, lines, { app, expected })
  chmodSync(site.folder, 0o755)
  mkdirSync(site.path('run'), { mode: 0o750 })
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=50,size=1m', 'tmpfs', site.path('run')])
  if (mounted.status !== 0) return void t.comment('nothing can be mounted here')
  t.teardown(() => spawnSync('umount', ['-l', site.path('run')]))
  const running = await site.serve()
  const filled: string[] = []
  const fill = () => {
    try {
      for (;;) {
        const path = site.path(`run/workers/${filled.length}`)
        writeFileSync(path, '')
        filled.push(path)
      }
    } catch (error) {
      t.equal(codeOf(error), 'ENOSPC')
    }
  }
  const told =
    /^.* worker-not-started slot=\d .*run-dir is used up: .*\/run: all of its 50 inodes \(files\) are taken.*make room there/m
  fill()
  const { code, err } = await site.run('reload', site.ini)
  t.equal(code, EXIT.failed, 'a reload fails')
  t.match(err, /run-dir is used up: .*\/run: all of its 50 inodes/, 'and says why: the worker cannot make its socket')
  await until('it is told', () => told.test(running.out()))
  fill()
  t.match(await ask(running.url, '/'), { status: 200 })
  const second = await site.run('start', site.ini, '--run-dir', site.path('run/other'))
  t.match(
    second,
    { code: EXIT.os, err: /run-dir is used up: .*: all of its 50 inodes .*make room there/ },
    'a start says it too',
  )
  for (const path of filled) unlinkSync(path)
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.match(await site.end(running), { code: 0 })
})
