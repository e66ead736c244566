/** What the doctor finds: `supervisor/doctor/doctor-checks.ts`, each thing right and wrong. */

import t from 'tap'
import { examine, type Found, type Wanted } from '../../../supervisor/doctor/doctor-checks.js'
import type { UnitFound } from '../../../supervisor/doctor/unwritable-paths.js'

const wanted: Wanted = {
  backlog: 1024,
  descriptors: 65_536,
  stopMs: 60_000,
  harakiriMs: 30_000,
  runDir: '/run/daimyo/farm',
  longestSocketPath: '/run/daimyo/farm/workers/worker-99999.999999.tunnel',
  nodeEnv: 'production',
  hasApplication: true,
}
const unit: UnitFound = {
  name: 'farm.service',
  type: 'notify',
  notifyAccess: 'all',
  killMode: 'mixed',
  stopMs: 75_000,
  watchdogMs: 120_000,
  descriptors: 65_536,
  deniesExecutableMemory: false,
  needsDaemonReload: false,
  user: 'www-data',
  group: '',
  hasSockets: false,
}
const found: Found = {
  somaxconn: 4096,
  master: { pid: 7, ready: 2, waiting: 0, wanted: 2, descriptors: 65_536, iniIsNewer: false, restart: [] },
  trouble: null,
  unit,
  descriptors: 1024,
  clock: { isSynchronized: true, source: 'tsc', isBehindIni: false },
  runFolder: { mode: 0o40710, uid: 33, isOpenAbove: false },
  logDisk: { folder: '/var/log', freeBytes: 40 * 1024 ** 3, allBytes: 100 * 1024 ** 3 },
  uid: 33,
  noSetpriv: null,
  outOfReach: null,
  unwritable: { user: 'www-data', paths: [] },
}
const withUnit = (change: Partial<UnitFound>): Partial<Found> => ({ unit: { ...unit, ...change } })
const withMaster = (change: Partial<NonNullable<Found['master']>>): Partial<Found> => ({
  master: { ...found.master!, ...change },
})

const withDisk = (freeBytes: number): Partial<Found> => ({ logDisk: { ...found.logDisk!, freeBytes } })

t.test('a host without application and log file', async t => {
  const rows = examine({ ...wanted, hasApplication: false, nodeEnv: undefined }, { ...found, logDisk: null })
  t.same(
    rows.filter(({ what }) => what === 'log' || what === 'NODE_ENV'),
    [],
  )
})

t.test('a host on which all is well', async t => {
  for (const { verdict, what, found: text, remedy } of examine(wanted, found)) {
    t.equal(verdict, 'ok', `${what}: ${text}`)
    t.equal(remedy, '', what)
  }
})

t.test('a host on which nothing was started yet, and that has no unit', async t => {
  const rows = examine(wanted, { ...found, master: null, unit: null, descriptors: 65_536, runFolder: null })
  t.same(
    rows.filter(({ verdict }) => verdict !== 'ok').map(({ what }) => what),
    ['systemd unit'],
  )
})

const wrong: [
  title: string,
  Partial<Found>,
  Partial<Wanted>,
  expected: [what: string, verdict: string, remedy: RegExp],
][] = [
  ['a master that does not answer', { master: null, trouble: 'no answer: x' }, {}, ['master', 'bad', /as root/]],
  ['setpriv that is missing', { noSetpriv: 'setpriv is not installed' }, {}, ['setpriv', 'bad', /util-linux/]],
  ['a folder that is closed to the user', { outOfReach: 'uid=x cannot reach y' }, {}, ['reach', 'bad', /\/opt/]],
  [
    'an upgrade',
    withMaster({ restart: ['daimyo was upgraded: restart'] }),
    {},
    ['master', 'warn', /systemctl restart/],
  ],
  [
    'a log that the user cannot write',
    { unwritable: { user: 'www-data', paths: [{ option: 'logto', path: '/var/log/x' }] } },
    {},
    ['writable', 'bad', /chown it to www-data/],
  ],
  ['a full disk', withDisk(1000), {}, ['log', 'bad', /make room/]],
  ['a disk that is nearly full', withDisk(1024 ** 3), {}, ['log', 'warn', /log-maxsize/]],
  ['no NODE_ENV', {}, { nodeEnv: undefined }, ['NODE_ENV', 'warn', /env = NODE_ENV=production/]],
  ['another NODE_ENV', {}, { nodeEnv: 'development' }, ['NODE_ENV', 'warn', /stacks/]],
  ['no worker', withMaster({ ready: 0 }), {}, ['master', 'bad', /log/]],
  ['one worker too few', withMaster({ ready: 1 }), {}, ['master', 'warn', /log/]],
  ['workers that wait', withMaster({ ready: 0, waiting: 2 }), {}, ['master', 'ok', /^$/]],
  ['an INI that was not reloaded', withMaster({ iniIsNewer: true }), {}, ['master', 'warn', /daimyo reload/]],
  ['a small somaxconn', { somaxconn: 128 }, {}, ['backlog', 'warn', /somaxconn=1024/]],
  ['an unknown somaxconn', { somaxconn: null }, {}, ['backlog', 'warn', /\/proc/]],
  [
    'few descriptors of the master',
    withMaster({ descriptors: 1024 }),
    {},
    ['descriptors', 'warn', /LimitNOFILE=65536/],
  ],
  ['unknown descriptors', withMaster({ descriptors: null }), {}, ['descriptors', 'warn', /root/]],
  ['few of the unit', { master: null, ...withUnit({ descriptors: 1024 }) }, {}, ['descriptors', 'warn', /LimitNOFILE/]],
  ['few of the shell', { master: null, unit: null }, {}, ['descriptors', 'warn', /ulimit -n/]],
  ['an old unit', withUnit({ needsDaemonReload: true }), {}, ['systemd unit', 'warn', /daemon-reload/]],
  ['Type=simple', withUnit({ type: 'simple', notifyAccess: 'none' }), {}, ['Type', 'warn', /Type=notify/]],
  ['NotifyAccess=main', withUnit({ notifyAccess: 'main' }), {}, ['NotifyAccess', 'bad', /NotifyAccess=all/]],
  ['a short stop that is extended', withUnit({ stopMs: 30_000 }), {}, ['stop timeout', 'warn', /TimeoutStopSec=75/]],
  ['a short stop', withUnit({ stopMs: 30_000, type: 'exec' }), {}, ['stop timeout', 'bad', /TimeoutStopSec=75/]],
  ['KillMode=control-group', withUnit({ killMode: 'control-group' }), {}, ['KillMode', 'bad', /in the middle/]],
  ['KillMode=process', withUnit({ killMode: 'process' }), {}, ['KillMode', 'bad', /stay behind/]],
  ['a hasty watchdog', withUnit({ watchdogMs: 10_000 }), {}, ['watchdog', 'warn', /longer WatchdogSec/]],
  ['no executable memory', withUnit({ deniesExecutableMemory: true }), {}, ['executable memory', 'bad', /V8/]],
  ['a clock that runs free', { clock: { ...found.clock, isSynchronized: false } }, {}, ['clock', 'warn', /set-ntp/]],
  ['an unknown clock', { clock: { ...found.clock, isSynchronized: null } }, {}, ['clock', 'warn', /set-ntp/]],
  ['a clock in the past', { clock: { ...found.clock, isBehindIni: true } }, {}, ['clock', 'bad', /set the clock/]],
  ['a slow clock', { clock: { ...found.clock, source: 'hpet' } }, {}, ['clock source', 'warn', /tsc/]],
  ['a long path', {}, { longestSocketPath: `/${'x'.repeat(107)}` }, ['socket path', 'bad', /run-dir/]],
  ['an open run folder', { runFolder: { ...found.runFolder!, mode: 0o755 } }, {}, ['run folder', 'bad', /chmod 0710/]],
  [
    'a run folder that its group lists',
    { runFolder: { ...found.runFolder!, mode: 0o750 } },
    {},
    ['run folder', 'warn', /RuntimeDirectoryMode=0710/],
  ],
  [
    'an open folder above',
    { runFolder: { ...found.runFolder!, isOpenAbove: true } },
    {},
    ['run folder', 'bad', /parent/],
  ],
  ["somebody else's run folder", { runFolder: { ...found.runFolder!, uid: 5 } }, {}, ['run folder', 'warn', /33/]],
]
for (const [title, change, wish, [what, verdict, remedy]] of wrong) {
  t.test(title, async t => {
    const rows = examine({ ...wanted, ...wish }, { ...found, ...change })
    t.match(
      rows.find(row => row.what === what),
      { verdict, remedy },
    )
  })
}
