/**
 * A root master with `uid`, and a folder of the service's user in which open(2) waits without end: a FIFO whose lock a program holds, a FUSE file system. A reload is refused and a
 * stop ends; the master answers meanwhile. Needs root; skipped without.
 */

import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { holdFifo, noLockedFifo } from '../supervisor/fixtures/locked-fifo.js'
import { reachableCommand } from '../supervisor/fixtures/reachable-program.js'
import { mountSilent, NO_MOUNT } from '../supervisor/fixtures/silent-mount.js'
import { ask } from './fixtures/asking.js'
import { WatchedSite } from './fixtures/watched-site.js'

const WWW_DATA = 33
const app = `require('node:http').createServer((request, response) => response.end('served')).listen(3000)`

/** A site with a folder of the service's user. */
function siteOf(t: Test, lines: string[], expected: RegExp[]): { site: WatchedSite; folder: string } {
  const command = reachableCommand()
  const site = new WatchedSite(t, ['processes = 1', 'uid = www-data', ...lines], { app, expected, command })
  chmodSync(site.folder, 0o755)
  const folder = site.path('theirs')
  mkdirSync(folder)
  chownSync(folder, WWW_DATA, WWW_DATA)
  return { site, folder }
}

t.test('the pidfile has become a FIFO whose lock is held', { skip: noLockedFifo }, async t => {
  const { site, folder } = siteOf(t, ['pidfile = theirs/site.pid'], [/cannot remove the pidfile/])
  const running = await site.serve()
  const path = join(folder, 'site.pid')
  renameSync(path, `${path}.before`)
  const letGo = await holdFifo(t, path)
  const { code, err } = await site.end(running)
  t.equal(code, 0)
  t.match(err, /cannot remove the pidfile: cannot use the pidfile: pidfile=\S+: the file system has not answered/)
  letGo()
})

t.test('the folder of a unix socket and a FIFO leads where nobody answers', { skip: noLockedFifo }, async t => {
  const lines = ['http = theirs/run/site.sock', 'master-fifo = theirs/run/site.fifo']
  const { site, folder } = siteOf(t, lines, [/socket-not-removed/, /fifo-trouble/])
  for (const name of ['run', 'mount']) {
    mkdirSync(join(folder, name))
    chownSync(join(folder, name), WWW_DATA, WWW_DATA)
  }
  const running = await site.serve()
  if (!(await mountSilent(t, join(folder, 'mount')))) return void t.pass(NO_MOUNT)
  renameSync(join(folder, 'run'), join(folder, 'before'))
  symlinkSync('mount', join(folder, 'run'))
  lchownSync(join(folder, 'run'), WWW_DATA, WWW_DATA)
  const { code, out } = await site.end(running)
  t.equal(code, 0)
  const why = 'why="cannot remove \\S+: the file system has not answered within'
  t.match(out, new RegExp(`socket-not-removed path=\\S+site.sock ${why}`))
  t.match(out, new RegExp(`fifo-trouble path=\\S+site.fifo ${why}`))
  rmSync(join(folder, 'before'), { recursive: true })
})

t.test('a file of a reload, or the application, lies where nobody answers', { skip: noLockedFifo }, async t => {
  const { site, folder } = siteOf(
    t,
    ['env-file = theirs/env', 'static-map = /s=theirs/static', 'error-page = 503=theirs/page'],
    [/reload-failed/],
  )
  for (const name of ['env', 'page']) writeFileSync(join(folder, name), '')
  for (const name of ['mount', 'static']) mkdirSync(join(folder, name))
  const running = await site.serve()
  if (!(await mountSilent(t, join(folder, 'mount')))) return void t.pass(NO_MOUNT)
  unlinkSync(join(folder, 'page'))
  symlinkSync('mount/x', join(folder, 'page'))
  lchownSync(join(folder, 'page'), WWW_DATA, WWW_DATA)
  process.kill(running.pid, 'SIGHUP')
  await running.seen(/reload-start /)
  t.equal((await site.status()).reloading, true)
  t.equal((await ask(running.url, '/')).body, 'served')
  await running.seen(/reload-failed .*why="cannot read the configuration: the file system has not answered within/)
  t.match(await site.end(running), { code: 0 })
})
