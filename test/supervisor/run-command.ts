/** Tests `supervisor/run-command.ts` with the real program in the foreground. */

import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { until } from '../e2e/fixtures/watched-site.js'
import { Site } from './fixtures/daimyo-program.js'
import { receiveNotifications, whyNoReceiver } from './fixtures/notify-receiver.js'

const banner = /^ {2}stop {5}.* Ctrl-C\n/m

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  t.test(`it serves until ${signal}, and leaves nothing behind`, async t => {
    const site = new Site(t, ['pidfile = %dmine.pid', 'http = %dhttp.sock', 'vacuum = true'])
    const running = site.spawn('site.ini')
    await running.seen(banner)
    t.match(
      running.out(),
      /master-ready (.|\n)*^daimyo \S+ runs with pid \d+\n {2}serving {2}http:\/\/127\.0\.0\.1:\d+ {2}unix:/m,
    )
    t.equal(site.read('mine.pid'), `${running.pid}\n`)
    t.match(await site.run('get', '/', 'site.ini'), { code: EXIT.ok, out: /^\d+\n$/ })
    running.child.kill(signal)
    const { code, out } = await running.ended
    t.equal(code, EXIT.ok)
    t.match(out, /master-stopped/)
    t.same(readdirSync(site.folder).sort(), ['app.cjs', 'master', 'site.ini'])
  })
}

t.test('a failed start says why, ends with 69 and leaves nothing behind', async t => {
  const site = new Site(t, ['pidfile = %dmine.pid'], "throw new Error('no database')")
  const { code, err } = await site.run('site.ini')
  t.equal(code, EXIT.unavailable)
  t.match(err, /^daimyo: cannot start: .*no database/m)
  t.same(readdirSync(site.folder).sort(), ['app.cjs', 'site.ini'])
})

t.test('a reload that fails says why, and the old ones serve on', async t => {
  const site = new Site(t)
  const running = site.spawn('site.ini')
  await running.seen(banner)
  const before = (await site.run('get', '/', 'site.ini')).out
  const failures: [string, RegExp][] = [
    ["throw new Error('no database')", /^daimyo: reload failed: .*no database\n(.|\n)*^ {2} +at .*app\.cjs/m],
    ["console.error('no luck'); process.exit(3)", /^daimyo: reload failed: .*\n(.|\n)*^ {2}no luck$/m],
  ]
  for (const [app, reason] of failures) {
    site.writeApp(app)
    t.match(await site.run('reload', 'site.ini'), { code: EXIT.failed, err: reason })
    t.equal((await site.run('get', '/', 'site.ini')).out, before)
  }

  site.writeIni(['processes = many'])
  const wrong = await site.run('reload', 'site.ini')
  t.match(wrong, { code: EXIT.failed, err: /reload failed: (.|\n)*site\.ini:\d+: processes/ })
  t.equal(
    (await site.run('status', 'site.ini')).code,
    EXIT.ok,
    'an INI that has become wrong is still that of its master',
  )
  t.equal((await site.run('get', '/', 'site.ini')).out, before)
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
  t.equal((await running.ended).code, EXIT.ok)
})

t.test('the log is reopened after a rotation, and access lines go with it', async t => {
  const site = new Site(t, ['logto = %dmine.log'])
  const running = site.spawn('site.ini')
  await running.seen(banner)
  t.notMatch(running.out(), /master-ready/, 'the log is in its file, the terminal has the banner only')
  renameSync(site.path('mine.log'), site.path('mine.log.1'))
  running.child.kill('SIGUSR1')
  // A proxy opens its log again when the master has told it, and writes its lines twice a second.
  await until('access lines go to the new file', async () => {
    t.match(await site.run('get', '/after', 'site.ini'), { code: EXIT.ok })
    return /"GET \/after HTTP\/1\.1" 200/.test(site.read('mine.log'))
  })
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
  await running.ended
  t.match(site.read('mine.log.1'), /master-ready/)
  t.match(site.read('mine.log'), /logs-reopened(.|\n)*master-stopped/)
  t.notMatch(site.read('mine.log'), /proxy-exit .*why=died/, 'by reopening, not by a proxy that died of it')
})

t.test('a full disk stops nobody', { skip: !existsSync('/dev/full') && 'needs /dev/full' }, async t => {
  const site = new Site(t, ['logto = /dev/full'])
  const running = site.spawn('site.ini')
  await running.seen(banner)
  for (let count = 0; count < 3; count++) t.match(await site.run('get', '/', 'site.ini'), { code: EXIT.ok })
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
  const { code, err } = await running.ended
  t.equal(code, EXIT.ok)
  t.equal(err.match(/cannot write the log: \/dev\/full: ENOSPC/g)?.length, 1, 'said once')
})

t.test('systemd hears of it, in order', { skip: whyNoReceiver() }, async t => {
  const { path, told } = await receiveNotifications(t)
  // A program of that name in the PATH of whoever starts the master is not run.
  const folder = new Site(t).folder
  const record = `${folder}/record`
  writeFileSync(`${folder}/systemd-notify`, `#!/bin/sh\necho "$@" >> '${record}'\n`, { mode: 0o755 })
  const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '2000000', PATH: `${folder}:${process.env.PATH}` }
  const app =
    "require('node:http').createServer((_, response) => response.end(String(process.env.NOTIFY_SOCKET))).listen(1)"
  const site = new Site(t, ['processes = 1'], app, environment)
  const running = site.spawn('site.ini')
  await running.seen(banner)
  t.match(await site.run('get', '/', 'site.ini'), { out: 'undefined' }, 'applications do not see the socket')
  t.equal((await site.run('reload', 'site.ini')).code, EXIT.ok)
  running.child.kill('SIGTERM')
  await running.ended
  await until('systemd has heard of the end', () => told().some(line => line.startsWith('STOPPING')))
  t.notOk(existsSync(record))
  const ready = (generation: number) =>
    new RegExp(
      `^READY=1 MAINPID=${running.pid} STATUS=generation ${generation}: 1 of 1 workers ready, 1 proxy, http://127\\.0\\.0\\.1:\\d+$`,
    )
  t.match(
    told().filter(line => !/^(STATUS|EXTEND|WATCHDOG)/.test(line)),
    [ready(1), /^RELOADING=1 MONOTONIC_USEC=\d+ STATUS=reloading$/, ready(2), /^STOPPING=1 STATUS=stopping$/],
  )
  t.ok(told().includes('EXTEND_TIMEOUT_USEC=20000000'), 'it asks for time')
})
