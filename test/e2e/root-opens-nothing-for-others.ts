/**
 * A root master with `uid`, and whoever controls the application's folder plants links to what only root may open:
 * nothing root-only is published, written, moved, given away or connected to, and the message says which folder made
 * the difference. Needs root; skipped without.
 */

import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { maySeeDescriptors } from '../supervisor/fixtures/own-capabilities.js'
import { reachableCommand } from '../supervisor/fixtures/reachable-program.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { ask } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const SECRET = 'only root may read this'
const WWW_DATA = 33
const NOGROUP = 65_534
const app = `require('node:http').createServer((request, response) => response.end('served')).listen(3000)`

interface Attacked {
  site: WatchedSite
  /** Of www-data. */
  folder: string
  /** A folder that only root may enter, with a secret in it. */
  roots: string
  plant(target: string, name: string): void
}

/** A site with a folder `app/` of the service's user. */
function attacked(
  t: { teardown(work: () => unknown): unknown },
  lines: string[],
  expected: RegExp[] = [],
  command = reachableCommand(),
): Attacked {
  const site = new WatchedSite(t, ['processes = 1', 'uid = www-data', ...lines], { app, expected, command })
  chmodSync(site.folder, 0o755)
  const folder = site.path('app')
  const roots = site.path('roots')
  mkdirSync(folder)
  chownSync(folder, WWW_DATA, WWW_DATA)
  mkdirSync(roots, { mode: 0o700 })
  writeFileSync(join(roots, 'secret'), SECRET, { mode: 0o600 })
  const plant = (target: string, name: string) => {
    symlinkSync(target, join(folder, name))
    lchownSync(join(folder, name), WWW_DATA, WWW_DATA)
  }
  return { site, folder, roots, plant }
}

/**
 * A line of the INI that names something in `app/`, and what `daimyo check` says when it is a link to what is root's.
 */
const read: [option: string, line: string, planted: 'file' | 'folder'][] = [
  ['error-page', 'error-page = 404=app/planted', 'file'],
  ['env-file', 'env-file = app/planted', 'file'],
  ['envdir', 'envdir = app/planted', 'folder'],
  ['a value of a file', 'env = KEY=@(app/planted)', 'file'],
  ['ini', 'ini = app/planted', 'file'],
]
for (const [option, line, planted] of read) {
  t.test(`${option}: a link to what is root’s is not read`, { skip }, async t => {
    const { site, roots, plant } = attacked(t, [line])
    plant(planted === 'file' ? join(roots, 'secret') : roots, 'planted')
    const { code, out, err } = await site.run('check', site.ini)
    t.equal(code, EXIT.config)
    const text = `${out}${err}`
    t.match(text, /permission denied \(opened as www-data, because \/.*\/app belongs to www-data\)/)
    t.notMatch(text, SECRET)
  })
}

t.test('what only root may read is read where only root decides about it', { skip }, async t => {
  const { site, roots } = attacked(t, ['error-page = 404=roots/secret', 'env-file = roots/env'])
  writeFileSync(join(roots, 'env'), 'TOKEN=1\n', { mode: 0o600 })
  const running = await site.serve()
  t.equal((await ask(running.url, '/')).status, 200)
  t.match(await site.end(running), { code: 0 })
})

t.test('folders and the application: a link into a folder of root’s is no release', { skip }, async t => {
  for (const line of ['static-map = /s=app/planted', 'chdir = %dapp/planted', 'check-static = app/planted']) {
    const { site, roots, plant } = attacked(t, [line])
    mkdirSync(join(roots, 'below'))
    plant(join(roots, 'below'), 'planted')
    const { code, out } = await site.run('check', site.ini)
    t.equal(code, EXIT.config, line)
    t.match(out, /no permission to look/, line)
  }
})

t.test('the log: a folder that becomes a link is not followed at a reopening', { skip }, async t => {
  const expected = [/the log is not reopened/, /log-not-rotated/]
  const { site, folder, roots } = attacked(t, ['logto = app/logs/site.log', 'disable-logging = true'], expected)
  const logs = join(folder, 'logs')
  mkdirSync(logs)
  chownSync(logs, WWW_DATA, WWW_DATA)
  writeFileSync(join(roots, 'site.log'), SECRET, { mode: 0o600 })
  const running = await site.serve()
  t.equal(statSync(join(logs, 'site.log')).uid, WWW_DATA)
  renameSync(logs, `${logs}.before`)
  symlinkSync(roots, logs)
  lchownSync(logs, WWW_DATA, WWW_DATA)
  process.kill(running.pid, 'SIGUSR1')
  await until('it says so', () => /permission denied.*opened as www-data, because .*app belongs/.test(running.err()))
  t.match(await site.end(running), { code: 0 })
  const found = lstatSync(join(roots, 'site.log'))
  t.same([found.uid, found.mode & 0o777], [0, 0o600], 'nothing was given away')
  t.equal(readFileSync(join(roots, 'site.log'), 'utf8'), SECRET, 'nor written')
})

t.test('the log: a folder that becomes a link is not rotated', { skip }, async t => {
  const lines = ['logto = app/logs/site.log', 'disable-logging = true', 'log-maxsize = 64k']
  const { site, folder, roots } = attacked(t, lines, [/log-not-rotated/])
  const logs = join(folder, 'logs')
  mkdirSync(logs)
  chownSync(logs, WWW_DATA, WWW_DATA)
  writeFileSync(join(roots, 'site.log'), SECRET.repeat(10_000), { mode: 0o600 })
  const running = await site.serve()
  renameSync(logs, `${logs}.before`)
  symlinkSync(roots, logs)
  lchownSync(logs, WWW_DATA, WWW_DATA)
  appendFileSync(`${logs}.before/site.log`, `${'x'.repeat(70_000)}\n`)
  await until('it says so', () => /log-not-rotated .*EACCES/.test(site.read('app/logs.before/site.log')))
  t.match(await site.end(running), { code: 0 })
  t.same(readdirSync(roots).sort(), ['secret', 'site.log'])
})

/** For `node --require`: tells each path that the process looks up on its own thread. */
const telling = (file: string) => `
  const fs = require('node:fs')
  const { openSync, writeSync } = fs
  const out = openSync(${JSON.stringify(file)}, 'a')
  const names = ['openSync', 'opendirSync', 'statSync', 'lstatSync', 'statfsSync', 'readlinkSync', 'realpathSync', 'unlinkSync', 'renameSync']
  for (const name of names) {
    const original = fs[name]
    fs[name] = Object.assign((...args) => {
      writeSync(out, name + ' ' + args[0] + '\\n')
      return original(...args)
    }, original)
  }
  require('node:module').syncBuiltinESMExports()`

t.test('while it runs, reloads and stops, the master looks up nothing in the folder of the user', { skip }, async t => {
  const scratch = scratchFolder(t)
  const looks = join(scratch, 'looks')
  writeFileSync(join(scratch, 'tell.cjs'), telling(looks))
  const [node = '', program = ''] = reachableCommand()
  const lines = [
    ...['logto = app/logs/site.log', 'disable-logging = true', 'log-maxsize = 64k', 'pidfile = app/site.pid'],
    ...['error-page = 404=app/page', 'env-file = app/page', 'envdir = app/static', 'static-map = /s=app/static'],
    ...['http = app/site.sock', 'master-fifo = app/site.fifo', 'app = %dapp/app.cjs'],
  ]
  const command = [node, '--require', join(scratch, 'tell.cjs'), program]
  const { site, folder } = attacked(t, lines, [/commands the master by it/], command)
  const logs = join(folder, 'logs')
  mkdirSync(join(folder, 'static'))
  mkdirSync(logs)
  chownSync(logs, WWW_DATA, WWW_DATA)
  writeFileSync(join(folder, 'page'), '')
  writeFileSync(join(folder, 'app.cjs'), app)
  const running = await site.serve()
  const seen = (below: string) =>
    readFileSync(looks, 'utf8')
      .split('\n')
      .filter(line => line.includes(` ${below}/`))
  t.notSame(seen(site.folder), [])
  t.same(
    seen(logs).filter(line => maySeeDescriptors() && !line.startsWith('statSync')),
    [],
    'nor does it open or move the log at its start',
  )
  writeFileSync(looks, '')
  appendFileSync(join(logs, 'site.log'), `${'x'.repeat(70_000)}\n`)
  await until('it is rotated', () => readdirSync(logs).length === 2)
  process.kill(running.pid, 'SIGUSR1')
  process.kill(running.pid, 'SIGHUP')
  await until('lines are in the new one', () => /reload-done/.test(site.read('app/logs/site.log')))
  t.match(await site.end(running), { code: 0 })
  t.same(seen(folder), [])
  t.same(readdirSync(folder).sort(), ['app.cjs', 'logs', 'page', 'static'])
})

t.test('the log of the start, its folder and its backups: nothing is made or moved elsewhere', { skip }, async t => {
  const { site, roots } = attacked(t, [])
  chownSync(site.folder, WWW_DATA, WWW_DATA)
  const elsewhere = scratchFolder(t)
  chmodSync(elsewhere, 0o755)
  const ini = join(elsewhere, 'site.ini')
  writeFileSync(ini, readFileSync(site.ini, 'utf8').replace('%dapp', `${site.folder}/app`))
  writeFileSync(join(roots, 'daimyo.log'), SECRET, { mode: 0o600 })
  writeFileSync(join(roots, 'daimyo.pid'), 'old', { mode: 0o600 })
  const before = readdirSync(roots)
  symlinkSync(roots, site.path('logs'))
  lchownSync(site.path('logs'), WWW_DATA, WWW_DATA)
  const { code, err } = await site.run('start', ini)
  t.match(err, /uid=www-data cannot reach it: \/.*\/logs is closed to it/)
  t.equal(code, EXIT.permission)
  t.same(readdirSync(roots), before)
  chmodSync(roots, 0o755)
  const entered = await site.run('start', ini)
  t.match(entered.err, /because \/.* belongs to www-data/)
  t.equal(entered.code, EXIT.permission)
  t.same(readdirSync(roots), before)
  t.equal(readFileSync(join(roots, 'daimyo.log'), 'utf8'), SECRET)
})

t.test('the pidfile: written, replaced and removed only as the user', { skip }, async t => {
  const { site, folder, roots } = attacked(t, ['pidfile = app/run/site.pid'], [/cannot remove the pidfile/])
  const pids = join(folder, 'run')
  mkdirSync(pids)
  chownSync(pids, WWW_DATA, WWW_DATA)
  const running = await site.serve()
  t.equal(statSync(join(pids, 'site.pid')).uid, WWW_DATA)
  const precious = join(roots, 'site.pid')
  writeFileSync(precious, `${running.pid}\n`)
  renameSync(pids, `${pids}.before`)
  symlinkSync(roots, pids)
  lchownSync(pids, WWW_DATA, WWW_DATA)
  t.match(await site.end(running), { code: 0 })
  t.ok(existsSync(precious), 'the one in the folder of root’s is still there')
})

t.test('a FIFO: made as the user, and nothing of root’s is opened', { skip }, async t => {
  const { site, folder } = attacked(t, ['master-fifo = app/site.fifo'])
  const running = await site.serve()
  t.equal(statSync(join(folder, 'site.fifo')).uid, WWW_DATA)
  t.match(await site.end(running), { code: 0 })
  t.notOk(existsSync(join(folder, 'site.fifo')))
  rmSync(folder, { recursive: true })
  symlinkSync('roots', folder)
  lchownSync(folder, WWW_DATA, WWW_DATA)
  const refused = await site.run(site.ini)
  t.equal(refused.code, EXIT.os)
  t.match(refused.err, /cannot open the master FIFO: .*because .*app belongs to www-data/)
  t.same(readdirSync(site.path('roots')), ['secret'])
})

t.test('unix sockets: made as the user, in the group that is named, removed as the user', { skip }, async t => {
  const lines = ['http = app/site.sock', 'chown-socket = www-data:nogroup', 'metrics = app/metrics.sock']
  const { site, folder } = attacked(t, lines)
  const running = site.spawn(site.ini)
  await running.seen(/^ {2}stop /m)
  const owner = (name: string) => statSync(join(folder, name)).uid
  t.same([owner('site.sock'), owner('metrics.sock')], [WWW_DATA, WWW_DATA])
  t.equal(statSync(join(folder, 'site.sock')).gid, NOGROUP)
  chmodSync(join(folder, 'site.sock'), 0)
  const got = await site.run('get', '/', site.ini)
  t.match(got.err, /EACCES.*opened as www-data, because .*app belongs/, 'root asks as the user, who is shut out')
  t.match(await site.end(running), { code: 0 })
  t.same(readdirSync(folder), [])
})

t.test(
  'unix sockets: where the user may put another thing in its place, none is given to somebody else',
  { skip },
  async t => {
    const { site, folder } = attacked(t, ['http = app/site.sock', 'chown-socket = nobody:nogroup'])
    const { code, err } = await site.run(site.ini)
    t.equal(code, EXIT.permission)
    t.match(err, /cannot change the owner of the socket: .*app belongs to www-data: .*chown-socket = www-data:GROUP/)
    t.same(readdirSync(folder), [])
  },
)

t.test('unix sockets: a folder of root’s behind a link gets none', { skip }, async t => {
  const { site, folder, roots } = attacked(t, ['http = app/run/site.sock'])
  symlinkSync(roots, join(folder, 'run'))
  lchownSync(join(folder, 'run'), WWW_DATA, WWW_DATA)
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.permission)
  t.match(err, /cannot listen: .*EACCES.*because .*app belongs to www-data/)
  t.same(readdirSync(roots), ['secret'])
})

/** A service that only root may reach; says how often it was connected to. */
async function rootsService(t: { teardown(work: () => unknown): unknown }, roots: string) {
  let connections = 0
  const path = join(roots, 'docker.sock')
  const server = createServer(socket => {
    connections++
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return { path, connections: () => connections }
}

t.test('daimyo get: no request goes through a planted link to a service of root’s', { skip }, async t => {
  const { site, roots, plant } = attacked(t, ['http = app/site.sock'])
  const service = await rootsService(t, roots)
  plant(service.path, 'site.sock')
  t.notSame((await site.run('get', '/', site.ini)).code, 0)
  t.equal(service.connections(), 0)
})

t.test('wait-for-socket: nobody connects through a planted link', { skip }, async t => {
  const { site, roots, plant } = attacked(t, ['wait-for-socket = app/db.sock', 'wait-for-socket-timeout = 1'])
  const service = await rootsService(t, roots)
  plant(service.path, 'db.sock')
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.unavailable)
  t.match(err, /wait-for-socket=.*db\.sock/)
  t.equal(service.connections(), 0)
})

t.test('ready-check: a worker that swaps its socket for a link has the master ask nobody', { skip }, async t => {
  const { site, roots } = attacked(t, [], [/not-ready|not ready/])
  const service = await rootsService(t, roots)
  const swap = `
    const { readdirSync, renameSync, symlinkSync } = require('node:fs')
    const folder = ${JSON.stringify(site.path('run/workers'))}
    require('node:http').createServer((request, response) => {
      for (const name of readdirSync(folder).filter(name => /^worker-\\d+\\.sock$/.test(name))) {
        renameSync(folder + '/' + name, folder + '/' + name + '.before')
        symlinkSync(${JSON.stringify(service.path)}, folder + '/' + name)
      }
      response.writeHead(503, { connection: 'close' }).end()
    }).listen(3000)`
  writeFileSync(site.path('app.cjs'), swap)
  const expected = /not ready within \d+000 ms: ready-check GET \/: .*EACCES/
  let err = ''
  // The time must be over in any case; on a busy machine the worker may not have been asked twice by then.
  for (const seconds of [2, 8, 32]) {
    site.writeIni(['processes = 1', 'uid = www-data', 'ready-check = /', `worker-start-timeout = ${seconds}`])
    err = (await site.run(site.ini)).err
    rmSync(site.path('run/workers'), { recursive: true, force: true })
    if (expected.test(err)) break
  }
  t.match(err, expected)
  t.equal(service.connections(), 0)
})

t.test('wait-for-file: what is behind a planted link is not told', { skip }, async t => {
  const lines = ['wait-for-file = app/planted', 'wait-for-file-timeout = 1']
  const { site, roots, plant } = attacked(t, lines)
  plant(join(roots, 'secret'), 'planted')
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.unavailable)
  t.match(err, /wait-for-file=.*planted: not there/)
})

t.test('the workers’ names: what the user planted there costs neither a reload nor a start', { skip }, async t => {
  const { site, roots } = attacked(t, [])
  const running = await site.serve()
  const { workers: old } = await site.status()
  const planted = site.path('run/workers')
  const names = readdirSync(planted)
  const [, number] = /^worker-(\d+)\.sock$/.exec(names.find(name => name.endsWith('.sock')) ?? '') ?? []
  const plantAll = (from: number) => {
    for (let id = from; id < from + 20; id++) {
      mkdirSync(join(planted, `worker-${id}.sock`))
      writeFileSync(join(planted, `worker-${id}.sock`, 'kept'), '')
      symlinkSync(roots, join(planted, `worker-${id}.link`))
      writeFileSync(join(planted, `worker-${id}.tunnel`), '')
    }
  }
  plantAll(Number(number) + 1)
  t.equal((await site.run('reload', site.ini)).code, EXIT.ok)
  const { workers } = await site.status()
  t.notSame(workers[0]?.pid, old[0]?.pid)
  t.equal((await ask(running.url, '/')).body, 'served')
  t.match(await site.end(running), { code: 0 })
  t.same(readdirSync(roots), ['secret'])
})

t.test('an INI that the service’s user may change is refused, another’s is told', { skip }, async t => {
  const { site, folder } = attacked(t, [])
  const ini = join(folder, 'site.ini')
  writeFileSync(ini, readFileSync(site.ini, 'utf8').replaceAll('%d', `${site.folder}/`))
  const refused = await site.run('check', ini)
  t.equal(refused.code, EXIT.config)
  t.match(refused.out, /uid: www-data may change this file, .*app belongs to www-data: accepted an INI/)
  chownSync(folder, 65_534, 65_534)
  const told = await site.run('check', ini)
  t.equal(told.code, EXIT.ok)
  t.match(told.out, /remark: not only root may change this file: .*app belongs to nobody: whoever may, becomes root/)
  chmodSync(ini, 0o666)
  const everybodys = await site.run('check', ini)
  t.equal(everybodys.code, EXIT.config)
  t.match(everybodys.out, /may change this file, from which root takes what to do: everybody may write to .*site\.ini/)
  writeFileSync(ini, readFileSync(ini, 'utf8').replace(/^uid = .*$/m, ''))
  const withoutUid = await site.run('check', ini)
  t.equal(withoutUid.code, EXIT.config, 'the same without uid')
  t.match(withoutUid.out, /everybody may change this file, from which root takes what to do: everybody may write to/)
})
