/** Tests `supervisor/command/start-command.ts` and `starter.ts` with the real program: in the background, to its end. */

import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import type { StatusReport } from '../../../supervisor/control/control-protocol.js'
import { isAlive, lifeOf, type ProcessLife, waitUntilGone } from '../../../supervisor/host/process-presence.js'
import { goodApp, Site } from '../fixtures/daimyo-program.js'
import { reachableCommand } from '../fixtures/reachable-program.js'

async function statusOf(site: Site): Promise<StatusReport> {
  return JSON.parse((await site.run('status', 'site.ini', '--json')).out)
}

t.test('start, look, reload, stop, and start again', async t => {
  const site = new Site(t, ['processes = 2', 'lazy-apps = true'])
  const started = await site.run('start', 'site.ini')
  t.equal(started.code, EXIT.ok, started.err)
  const pid = site.masterPid()
  t.match(started.out, new RegExp(`^daimyo \\S+ runs with pid ${pid}\n  serving  http://127\\.0\\.0\\.1:\\d+\n`))
  t.match(started.out, /log {6}logs\/daimyo\.log\n(.|\n)*reload {3}node .* reload site\.ini/)
  t.equal(site.read('logs/daimyo.pid'), `${pid}\n`)
  t.equal(statSync(site.path('logs/daimyo.log')).mode & 0o777, 0o640)
  t.equal(statSync(site.path('run')).mode & 0o777, 0o710)
  t.equal(statSync(site.path('run/control.sock')).mode & 0o777, 0o600)

  const got = await site.run('get', '/', 'site.ini', '-i')
  t.match(got, { code: EXIT.ok, out: /^HTTP\/1\.1 200 OK\r\n(.|\r|\n)*\r\n\r\n\d+\n$/ })

  const second = await site.run('start', 'site.ini')
  t.match(second, { code: EXIT.unavailable, err: new RegExp(`run-dir=.*/run: daimyo already runs with pid ${pid}\n$`) })
  const foreground = await site.run('site.ini')
  t.match(foreground, { code: EXIT.unavailable, err: new RegExp(`daimyo already runs with pid ${pid}\n$`) })
  writeFileSync(site.path('other.ini'), readFileSync(site.ini, 'utf8').replace('%drun', '%drun2'))
  t.match(await site.run('start', 'other.ini'), {
    code: EXIT.unavailable,
    err: /logs\/daimyo\.pid: daimyo runs with pid \d+: another INI .*accepted `pidfile` and `logto` in this INI, or another folder\n$/,
  })
  t.same(readdirSync(site.path('logs')).sort(), ['daimyo.log', 'daimyo.pid'], 'the log that is in use is not moved')

  const reloaded = await site.run('reload', 'site.ini')
  t.match(reloaded, { code: EXIT.ok, out: /\nreloaded\n$/ })
  const report = await statusOf(site)
  t.match(report, { pid, generation: 2, wanted: 2, iniPath: site.ini })
  t.match(await site.run('status', 'site.ini'), { code: EXIT.ok, out: /SLOT +PID +PHASE(.|\n)*PROXY/ })

  const lives = [report, ...report.workers, ...report.proxies].flatMap(child => lifeOf(child.pid ?? 0) ?? [])
  t.equal(lives.length, 4, 'the master, two workers and a proxy')
  const stopped = await site.run('stop', 'site.ini')
  t.match(stopped, { code: EXIT.ok, out: new RegExp(`stopped: pid ${pid}\n$`) })
  t.same(lives.filter(isAlive), [])
  t.same(readdirSync(site.path('logs')), ['daimyo.log'])
  t.notOk(existsSync(site.path('run')))

  t.equal((await site.run('start', 'site.ini')).code, EXIT.ok)
  const [backup, ...others] = readdirSync(site.path('logs')).filter(name => name.startsWith('daimyo.log.'))
  t.match(backup, /^daimyo\.log\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d$/)
  t.same(others, [])
  t.match(site.read(`logs/${backup}`), /master-stopped/)
  t.notMatch(site.read('logs/daimyo.log'), /master-stopped/)
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
})

t.test('log and pidfile of the INI are used, and the log is appended to', async t => {
  const site = new Site(t, ['logto = %dmine.log', 'pidfile = %dmine.pid'])
  for (let count = 0; count < 2; count++) {
    t.equal((await site.run('start', 'site.ini')).code, EXIT.ok)
    t.equal(site.read('mine.pid'), `${site.masterPid()}\n`)
    t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
  }
  t.equal(site.read('mine.log').match(/master-stopped/g)?.length, 2)
  t.notOk(existsSync(site.path('logs')))
  t.notOk(existsSync(site.path('mine.pid')))
})

t.test('an application that does not load: the reason on the terminal, and nothing left', async t => {
  const site = new Site(t, [], "throw new Error('no database')")
  const { code, out, err } = await site.run('start', 'site.ini')
  t.equal(code, EXIT.unavailable)
  t.equal(out, '')
  t.match(err, /daimyo: cannot start: .*no database/)
  t.notOk(existsSync(site.path('run')))
  t.same(readdirSync(site.path('logs')), ['daimyo.log'])
})

const failing: [title: string, lines: string[], source: string][] = [
  ['an application in a later turn', [], "setImmediate(() => { throw new Error('no database') })"],
  ['its own exit', [], "console.error(new Error('no database').stack); process.exit(3)"],
  ['a hook', [`exec-pre-app = ${process.execPath} -e "throw new Error('no database')"`], goodApp],
]
for (const [title, lines, source] of failing) {
  t.test(`${title} fails: what it printed stands once on the terminal, and once in the log`, async t => {
    const site = new Site(t, lines, source)
    const { code, err } = await site.run('start', 'site.ini')
    t.equal(code, EXIT.unavailable)
    const stacks = (text: string) => text.match(/Error: no database\n(\[.*\] )? +at /g)?.length
    t.equal(stacks(err), 1)
    t.equal(stacks(site.read('logs/daimyo.log')), 1)
  })
}

t.test('a pidfile that is a link is refused before anything is moved', async t => {
  const site = new Site(t, ['pidfile = %dmine.pid'])
  symlinkSync('elsewhere', site.path('mine.pid'))
  t.match(await site.run('start', 'site.ini'), { code: EXIT.permission, err: /pidfile=.*symbolic link\n$/ })
  t.notOk(existsSync(site.path('logs/daimyo.log')))
  t.notOk(existsSync(site.path('elsewhere')))
})

const notRoot = process.getuid?.() !== 0 && 'needs root, to serve as another user'
const closedTo = [
  ['a start in the background', (site: Site) => site.run('start', 'site.ini'), [], 'logs/daimyo.log', true],
  [
    'with a log',
    (site: Site) => site.run('start', 'site.ini'),
    ['logto = %dmine.log', 'pidfile = %dmine.pid'],
    'mine.log',
    false,
  ],
  [
    'in the foreground',
    (site: Site) => site.run('site.ini'),
    ['logto = %dmine.log', 'pidfile = %dmine.pid'],
    'mine.log',
    false,
  ],
] as const
for (const [title, start, lines, log, isOurs] of closedTo) {
  t.test(
    `a folder that the service may not enter, ${title}: the remedy, and nothing left`,
    { skip: notRoot },
    async t => {
      const open = mkdtempSync(join(tmpdir(), 'daimyo-open-'))
      t.teardown(() => rmSync(open, { recursive: true }))
      chmodSync(open, 0o755)
      writeFileSync(join(open, 'app.js'), "require('node:http').createServer(() => {}).listen(3000)")
      const site = new Site(t, [], goodApp, {}, reachableCommand())
      const common = ['[uwsgi]', 'http = 127.0.0.1:0', 'metrics = false', 'run-dir = %drun']
      writeFileSync(site.ini, [...common, 'uid = nobody', `chdir = ${open}`, 'app = app.js', ...lines, ''].join('\n'))
      chmodSync(site.folder, 0o700)
      const names = readdirSync(site.folder)
      const { code, err } = await start(site)
      t.equal(code, EXIT.permission)
      const remedy = `accepted \`logto\` where that user may go.*${isOurs ? 'or a start in another folder' : 'site\\.log'}\n$`
      t.match(
        err,
        new RegExp(`cannot start: logto=.*${log}: uid=nobody cannot reach it: .*[(]mode 0700, owner 0[)]: ${remedy}`),
      )
      t.same(readdirSync(site.folder), names)
    },
  )
}

t.test('a master that was killed is no hindrance', async t => {
  const site = new Site(t)
  t.equal((await site.run('start', 'site.ini')).code, EXIT.ok)
  const before = await statusOf(site)
  const lives = [before, ...before.workers, ...before.proxies].flatMap(child => lifeOf(child.pid ?? 0) ?? [])
  process.kill(before.pid, 'SIGKILL')
  for (const life of lives) t.equal(await waitUntilGone(life, 5000), true, `pid ${life.pid} goes away by itself`)
  t.equal((await site.run('status', 'site.ini')).code, EXIT.unavailable)
  const again = await site.run('start', 'site.ini')
  t.equal(again.code, EXIT.ok, again.err)
  t.not(site.masterPid(), before.pid)
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
})

t.test('a master that is told to stop before it serves has not started', async t => {
  // It names its master and never listens.
  const site = new Site(
    t,
    [],
    "require('node:fs').writeFileSync(__dirname + '/master', String(process.ppid)); setInterval(() => {}, 1000)",
  )
  const named = watchFor(site.folder, 'master')
  const starter = site.run('start', 'site.ini')
  await named
  process.kill(site.masterPid() ?? 0, 'SIGTERM')
  t.match(await starter, { code: EXIT.unavailable, out: '', err: /^daimyo: the start was interrupted: SIGTERM$/m })
  t.notOk(existsSync(site.path('run')))
})

t.test('a starter that goes away takes its half-started master along', async t => {
  // It names its master and never listens.
  const site = new Site(
    t,
    [],
    "require('node:fs').writeFileSync(__dirname + '/master', String(process.ppid)); setInterval(() => {}, 1000)",
  )
  const named = watchFor(site.folder, 'master')
  const starter = site.spawn('start', 'site.ini')
  await named
  const life = lifeOf(site.masterPid() ?? 0) as ProcessLife
  t.ok(isAlive(life))
  starter.child.kill('SIGKILL')
  t.equal(await waitUntilGone(life, 10_000), true)
  await starter.ended
  t.match(site.read('logs/daimyo.log'), /master-stopping why=starter-gone/)
  t.notOk(existsSync(site.path('run')))
})

async function watchFor(folder: string, name: string): Promise<void> {
  const watcher = watch(folder)
  while (!existsSync(`${folder}/${name}`)) await once(watcher, 'change')
  watcher.close()
}
