/** `daimyo doctor`, with the real program; a systemd that has units is asked in `test/e2e/systemd-runs-the-farm.ts`. */

import { chmodSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { printDiagnoses, readUnit } from '../../../supervisor/doctor/doctor-command.js'
import { Site } from '../fixtures/daimyo-program.js'

t.test('remedies stand below what they are for', async t => {
  const rows = [
    { verdict: 'ok' as const, what: 'clock source', found: 'tsc', remedy: '' },
    { verdict: 'bad' as const, what: 'KillMode', found: 'none', remedy: 'KillMode=mixed' },
  ]
  t.equal(
    printDiagnoses(rows),
    'ok    clock source  tsc\nbad   KillMode      none\n                    → KillMode=mixed\n',
  )
})

t.test('a unit is read from what systemctl shows', async t => {
  const shown = `Type=notify
NotifyAccess=all
TimeoutStopUSec=1min 30s
WatchdogUSec=infinity
LimitNOFILESoft=65536
MemoryDenyWriteExecute=yes
KillMode=mixed
Id=farm.service
LoadState=loaded
NeedDaemonReload=no
User=www-data
Group=
TriggeredBy=farm.socket farm.path
`
  t.same(readUnit(shown), {
    name: 'farm.service',
    type: 'notify',
    notifyAccess: 'all',
    killMode: 'mixed',
    stopMs: 90_000,
    watchdogMs: Number.POSITIVE_INFINITY,
    descriptors: 65_536,
    deniesExecutableMemory: true,
    needsDaemonReload: false,
    user: 'www-data',
    group: '',
    hasSockets: true,
  })
  t.equal(readUnit('LoadState=not-found\n'), null)
  t.equal(readUnit(''), null)
})

t.test('a running master is compared with its INI', async t => {
  const site = new Site(t, ['processes = 1'])
  t.match(await site.run('doctor', 'site.ini'), { out: /^ok +configuration +.*site\.ini\nok +master +not running$/m })
  const running = site.spawn('site.ini')
  await running.seen(/^ {2}stop /m)
  const well = await site.run('doctor', 'site.ini')
  t.match(well, {
    code: EXIT.ok,
    out: new RegExp(`^ok +master +runs with pid ${running.pid}, 1 of 1 workers ready$`, 'm'),
  })
  chmodSync(site.path('run'), 0o777)
  t.match(await site.run('doctor', 'site.ini'), {
    code: EXIT.failed,
    out: /^bad +run folder .*mode 0777.*\n +→ chmod 0710 /m,
  })
  chmodSync(site.path('run'), 0o710)
  site.writeIni(['processes = 1', '# changed'])
  t.match(await site.run('doctor', 'site.ini'), {
    out: /^warn +master .*the INI has changed since\n +→ daimyo reload$/m,
  })
  t.equal((await site.run('stop', 'site.ini')).code, EXIT.ok)
  await running.ended
})

t.test('an INI that cannot be read is all there is to say', async t => {
  const { code, out } = await new Site(t, ['processes = many']).run('doctor', 'site.ini')
  t.equal(code, EXIT.failed)
  t.match(out, /^bad +configuration +1 mistake\n +→ see below\n.*site\.ini:\d+: processes: /)
})
