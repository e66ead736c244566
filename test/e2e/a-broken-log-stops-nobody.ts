/**
 * What happens around the master stops nobody: an application that floods the log, a disk that is full, a log folder that vanishes, a folder
 * of the pidfile that cannot be written any more. It keeps serving, stays small, and says so.
 */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { watchLostTime } from '../kit/fixtures/lost-time.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const FLOOD_BYTES = 50_000_000

/** `/flood` answers and then prints lines as fast as they are taken; `/` says how many bytes the pipe has not taken yet. */
const flooding = `
const line = 'x'.repeat(999) + '\\n'
let left = 0
const pour = () => { for (let count = 0; count < 100 && left > 0; count++, left -= line.length) process.stdout.write(line); if (left > 0) setImmediate(pour) }
require('node:http').createServer((request, response) => {
  if (request.url === '/flood') { left = ${FLOOD_BYTES}; pour() }
  response.end(String(left + process.stdout.writableLength))
}).listen(1)`

const residentBytes = (pid: number) =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text()
}

t.test(
  `${FLOOD_BYTES / 1e6} MB through stdout: the master stays small, the log within its bounds, requests are answered`,
  async t => {
    const lines = [
      'processes = 1',
      'logto = %dflood.log',
      'log-maxsize = 2m',
      'log-backups = 2',
      'disable-logging = true',
    ]
    const site = new WatchedSite(t, lines, { app: flooding })
    const running = await site.serve()
    const before = residentBytes(running.pid)
    await textOf(`${running.url}/flood`)
    let slowestMs = 0
    const lostMs = watchLostTime(t)
    await until(
      'all is printed',
      async () => {
        const sinceMs = performance.now()
        const left = await textOf(running.url)
        slowestMs = Math.max(slowestMs, performance.now() - sinceMs)
        return left === '0'
      },
      60_000,
    )
    const logs = () => readdirSync(site.folder).filter(name => name.startsWith('flood.log'))
    // Another process removes the oldest one.
    await until('the log and two backups are left', () => logs().length <= 3)
    const files = logs()
    // A rotation may rename one meanwhile.
    const sizeOf = (name: string) => statSync(site.path(name), { throwIfNoEntry: false })?.size ?? 0
    const bytes = files.reduce((sum, name) => sum + sizeOf(name), 0)
    const grown = residentBytes(running.pid) - before
    t.comment(
      `${files.length} files of ${bytes} bytes, ${grown} bytes more memory at the most, ${Math.round(slowestMs)} ms for the slowest answer`,
    )
    // Three files of 2 MB, and what is written between two looks.
    t.ok(bytes <= 3 * 2 * 1024 * 1024 * 1.5, `${bytes} bytes of log`)
    t.ok(grown < 50_000_000, `${grown} bytes more`)
    t.ok(slowestMs < 5000 + lostMs(), `${slowestMs} ms`)
    t.match(await site.end(running), { code: 0 })
  },
)

t.test('a full disk: it is said once, serving goes on, and the loss is owned up to', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'logto = %dlog/site.log', 'disable-logging = true'], {
    app: flooding,
    expected: [/cannot write the log: .*ENOSPC/, /^\S+ log-lost /],
  })
  const folder = site.path('log')
  mkdirSync(folder)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0
  if (!mounted) {
    t.comment('no small disk can be mounted here; /dev/full is tried in test/supervisor/run-command.ts')
    return
  }
  t.teardown(() => spawnSync('umount', ['-l', folder]))
  const running = await site.serve()
  await textOf(`${running.url}/flood`)
  await until('all is printed', async () => (await textOf(running.url)) === '0')
  await until('the master says so', () => /cannot write the log/.test(running.err()))
  t.equal(running.err().match(/cannot write the log/g)?.length, 1, 'said once')
  spawnSync('mount', ['-o', 'remount,size=80m', folder])
  await until('it is written again', async () => {
    await site.run('reload', site.ini)
    return /log-lost bytes=\d{6,}/.test(site.read('log/site.log'))
  })
  t.match(await site.end(running), { code: 0 })
})

t.test('a log folder that vanishes: serving goes on, and it is said', async t => {
  const folder = join('logs', 'deep')
  const site = new WatchedSite(t, ['processes = 1', `logto = %d${folder}/site.log`], {
    expected: [/cannot open the log|the log is not reopened|cannot write the log|reload-failed|logto: no such folder/],
  })
  mkdirSync(site.path(folder), { recursive: true })
  const running = await site.serve()
  rmSync(site.path('logs'), { recursive: true })
  process.kill(running.pid, 'SIGUSR1')
  await until('it is said', () => /the log is not reopened/.test(running.err()))
  t.match(await site.run('logs', 'reopen', site.ini), { code: 1, err: /cannot open the log/ })
  t.match(
    await site.run('reload', site.ini),
    { code: 1, err: /logto: no such folder to hold it/ },
    'no new INI without it',
  )
  t.match(await textOf(running.url), /^\d+/)
  mkdirSync(site.path(folder), { recursive: true })
  process.kill(running.pid, 'SIGUSR1')
  await until('the log is back', () => /logs-reopened/.test(site.read(`${folder}/site.log`)))
  t.match(await site.end(running), { code: 0 })
})

t.test('a pidfile whose folder has become read-only: it serves, reloads and ends, and says so', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'pidfile = %dpid/site.pid'], { expected: [/pidfile|site\.pid/] })
  const folder = site.path('pid')
  mkdirSync(folder)
  const running = await site.serve()
  t.equal(site.read('pid/site.pid'), `${running.pid}\n`)
  // Root writes wherever it likes but on a file system that is read-only.
  const isRoot = process.getuid?.() === 0
  if (isRoot) {
    spawnSync('mount', ['--bind', folder, folder])
    spawnSync('mount', ['-o', 'remount,bind,ro', folder])
    t.teardown(() => spawnSync('umount', ['-l', folder]))
  } else chmodSync(folder, 0o500)
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.match(await textOf(running.url), /^\d+/)
  const { code, err } = await site.end(running)
  t.equal(code, 0)
  t.match(err, /^daimyo: cannot remove the pidfile: .*site\.pid: it stays/m)
  if (!isRoot) chmodSync(folder, 0o700)
})
