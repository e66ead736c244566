/** Tests `kit/options/kinds/attached-kinds.ts`: daemons, cron jobs and hooks as uWSGI writes them, and what is refused. */

import t from 'tap'
import { cron, cronWithKeys, daemon, daemonWithKeys, hookAction } from '../../../../kit/options/kinds/attached-kinds.js'
import type { Kind } from '../../../../kit/options/kinds/option-kinds.js'

const context = { cwd: '/cwd', chdir: '/app', cores: 1 }
const plain = { stopSignal: 'SIGTERM', reloadSignal: null, pauseMs: 0 }
const any = { minute: -1, hour: -1, day: -1, month: -1, weekday: -1 }

const understood: [title: string, Kind<unknown>, text: string, value: unknown][] = [
  ['attach-daemon', daemon, 'memcached -p 1', { ...plain, name: 'memcached', command: 'memcached -p 1' }],
  ['attach-daemon', daemon, 'exec A=1 /usr/bin/redis-server', { ...plain, name: 'redis-server' }],
  [
    'attach-daemon2',
    daemonWithKeys,
    'cmd=/opt/x --list a\\,b, stopsignal=2,reloadsignal=HUP,freq=5',
    { command: '/opt/x --list a,b', name: 'x', stopSignal: 'SIGINT', reloadSignal: 'SIGHUP', pauseMs: 5000 },
  ],
  ['attach-daemon2', daemonWithKeys, 'stop_signal=sigkill,exec=x', { ...plain, command: 'x', stopSignal: 'SIGKILL' }],
  [
    'cron',
    cron(false),
    '59 2 -1 -1 -1 /usr/bin/backup --all',
    { name: 'backup', command: '/usr/bin/backup --all', times: { ...any, minute: 59, hour: 2 }, isUnique: false },
  ],
  [
    'unique-cron',
    cron(true),
    ' -5  -1 1 12 7  x ',
    { command: 'x', isUnique: true, times: { minute: -5, weekday: 7 } },
  ],
  [
    'cron2',
    cronWithKeys,
    'minute=-5,week=1,unique=1,harakiri=60 /srv/tick a=b',
    { command: '/srv/tick a=b', times: { ...any, minute: -5, weekday: 1 }, isUnique: true, harakiriMs: 60_000 },
  ],
  ['cron2', cronWithKeys, 'hour=3 x', { times: { ...any, hour: 3 }, isUnique: false, harakiriMs: null }],
  ['hook', hookAction, 'exec:/bin/x y', '/bin/x y'],
  ['hook', hookAction, "touch:/tmp/it's", "touch -- '/tmp/it'\\''s'"],
  ['hook', hookAction, 'unlink:-rf', "rm -f -- '-rf'"],
]
for (const [title, kind, text, value] of understood) {
  t.test(`${title} = ${text}`, async t => {
    const parsed = kind.parse(text, context)
    t.match(parsed, { ok: true, value })
    if (!parsed.ok || title === 'hook' || title.endsWith('cron')) return
    t.same(kind.parse(kind.print(parsed.value), context), parsed, 'and what is printed reads the same')
  })
}

const refused: [title: string, Kind<unknown>, text: string][] = [
  ['attach-daemon', daemon, ' '],
  ['attach-daemon2', daemonWithKeys, 'redis-server'],
  ['attach-daemon2', daemonWithKeys, 'stopsignal=15'],
  ['attach-daemon2', daemonWithKeys, 'cmd=x,pidfile=/run/x'],
  ['attach-daemon2', daemonWithKeys, 'cmd=x,daemonize=1'],
  ['attach-daemon2', daemonWithKeys, 'cmd=x,stopsignal=11'],
  ['attach-daemon2', daemonWithKeys, 'cmd=x,reloadsignal=9'],
  ['attach-daemon2', daemonWithKeys, 'cmd=x,freq=-1'],
  ['cron', cron(false), '* * * * * x'],
  ['cron', cron(false), '-1 -1 -1 -1 x'],
  ['cron', cron(false), '60 -1 -1 -1 -1 x'],
  ['cron', cron(false), '0 24 -1 -1 -1 x'],
  ['cron', cron(false), '0 0 0 -1 -1 x'],
  ['cron', cron(false), '0 0 1 13 -1 x'],
  ['cron', cron(false), '0 0 1 1 8 x'],
  ['cron', cron(false), '0 0 1 1 1'],
  ['cron', cron(false), '-60 -1 -1 -1 -1 x'],
  ['cron2', cronWithKeys, '/srv/tick'],
  ['cron2', cronWithKeys, 'minutes=5 x'],
  ['cron2', cronWithKeys, 'minute=5,unique=2 x'],
  ['cron2', cronWithKeys, 'minute=99 x'],
  ['cron2', cronWithKeys, 'minute=1'],
  ['hook', hookAction, '/bin/x'],
  ['hook', hookAction, 'mount:x'],
  ['hook', hookAction, 'touch:'],
]
for (const [title, kind, text] of refused) {
  t.test(`refuses ${title} = ${text}`, async t => t.match(kind.parse(text, context), { ok: false }))
}
