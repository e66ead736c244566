/**
 * The rows of the option table that say what runs around the application. A part of `host-options.ts`; `options.ts`
 * explains a row. All commands are run by `/bin/sh -c` as the service's user, in `chdir`, with `env`.
 */

import * as aroundKind from '../kinds/attached-kinds.js'
import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

const HOUR = 3_600_000

const around = { section: 'around', default: null, repeatable: true, takesEffect: 'live' } as const
/** Options of which only the last line counts. */
const single = { section: 'around', takesEffect: 'live' } as const
/** Options that act only at the start. */
const early = { ...around, takesEffect: 'restart' } as const
const earlySingle = { ...single, takesEffect: 'restart' } as const
const command = { ...around, kind: aroundKind.command } as const

/** In the order in which the reference prints them. */
export const AROUND_OPTIONS = {
  'wait-for-file': {
    ...early,
    kind: kind.path('chdir'),
    replaces: { uwsgi: 'wait-for-file, wait-for-fs' },
    summary: 'The start waits until this file or folder is there.',
    example: 'wait-for-file = /srv/media/mounted',
    setting: 'waitForFile',
    neededBy: ['master'],
  },
  'wait-for-file-timeout': {
    ...earlySingle,
    aliases: ['wait-for-fs-timeout'],
    kind: kind.time(1000, HOUR),
    default: '60',
    replaces: { uwsgi: 'wait-for-fs-timeout' },
    summary: 'The start fails if the wait for a file takes longer.',
    example: 'wait-for-file-timeout = 10',
    setting: 'waitForFileTimeoutMs',
    neededBy: ['master'],
  },
  'wait-for-socket': {
    ...early,
    kind: kind.peerAddress,
    replaces: { uwsgi: 'wait-for-socket' },
    summary: 'The start waits until a server accepts connections at this address.',
    example: 'wait-for-socket = 127.0.0.1:5432',
    setting: 'waitForSocket',
    neededBy: ['master'],
  },
  'wait-for-socket-timeout': {
    ...earlySingle,
    kind: kind.time(1000, HOUR),
    default: '60',
    replaces: { uwsgi: 'wait-for-socket-timeout' },
    summary: 'The start fails if the wait for a socket takes longer.',
    example: 'wait-for-socket-timeout = 10',
    setting: 'waitForSocketTimeoutMs',
    neededBy: ['master'],
  },
  'exec-asap': {
    ...early,
    kind: aroundKind.command,
    replaces: { uwsgi: 'exec-asap' },
    summary: 'Run this command first, before a listener is opened. If it fails, the start fails.',
    example: 'exec-asap = test -e /run/db/ready',
    setting: 'execAsap',
    neededBy: ['master'],
  },
  'exec-pre-app': {
    ...command,
    replaces: { uwsgi: 'exec-pre-app' },
    summary:
      'Run this command once for each start and each reload, before the first worker is started: for migrations. ' +
      'If it fails, the start or the reload fails with the last lines of its output; the workers that run are not ' +
      'touched.',
    example: 'exec-pre-app = npx knex migrate:latest',
    setting: 'execPreApp',
    neededBy: ['master'],
  },
  'exec-post-app': {
    ...command,
    replaces: { uwsgi: 'exec-post-app' },
    summary:
      'Run this command once for each start and each reload, when the first worker serves. If it fails, the log ' +
      'says so.',
    example: 'exec-post-app = curl -fsS https://deploys.example/done',
    setting: 'execPostApp',
    neededBy: ['master'],
  },
  'hook-accepting1': {
    ...around,
    kind: aroundKind.hookAction,
    replaces: { uwsgi: 'hook-accepting1' },
    summary: 'Do this each time a worker of slot 1 becomes ready: `exec:COMMAND`, `touch:FILE` or `unlink:FILE`.',
    example: 'hook-accepting1 = touch:/run/shop/accepting',
    setting: 'hookAccepting1',
    neededBy: ['master'],
  },
  'exec-as-user-atexit': {
    ...command,
    replaces: { uwsgi: 'exec-as-user-atexit' },
    summary: 'Run this command at the end, when all workers have ended, for at most `reload-mercy`.',
    example: 'exec-as-user-atexit = rm -f /run/shop/accepting',
    setting: 'execAsUserAtexit',
    neededBy: ['master'],
  },
  'exec-timeout': {
    ...single,
    kind: kind.time(1000, 24 * HOUR),
    default: '600',
    summary: 'How long a command of a hook may run. After that it is killed and has failed.',
    example: 'exec-timeout = 1h',
    setting: 'execTimeoutMs',
    neededBy: ['master'],
  },
  'attach-daemon': {
    ...around,
    kind: aroundKind.daemon,
    replaces: { uwsgi: 'attach-daemon' },
    summary:
      'Keep this command running beside the workers: exactly one process, across reloads. It must stay in the ' +
      'foreground. Its output goes to the log, each line behind its name. When it ends, it is started again, after ' +
      'longer and longer pauses. A reload that changes this line replaces it.',
    example: 'attach-daemon = memcached -p 11311',
    setting: 'attachDaemon',
    neededBy: ['master'],
  },
  'attach-daemon2': {
    ...around,
    kind: aroundKind.daemonWithKeys,
    replaces: { uwsgi: 'attach-daemon2' },
    summary:
      'As `attach-daemon`, with options: `stopsignal` ends it (default SIGTERM), `reloadsignal` is sent to it at ' +
      'each reload (default none), `freq` is the shortest pause in seconds before it is started again.',
    example: 'attach-daemon2 = cmd=redis-server --port 0 --unixsocket /run/shop/redis,stopsignal=15,freq=5',
    setting: 'attachDaemon',
    neededBy: ['master'],
  },
  cron: {
    ...around,
    kind: aroundKind.cron(false),
    replaces: { uwsgi: 'cron' },
    summary:
      'Run a command at times of the local clock: minute, hour, day, month, weekday. -1 is any, -N is every N. If ' +
      'day and weekday are both given, one of them must match. When the clock is changed, a job with a fixed hour ' +
      'runs exactly once.',
    example: 'cron = 59 2 -1 -1 -1 /srv/shop/backup',
    setting: 'cron',
    neededBy: ['master'],
  },
  'unique-cron': {
    ...around,
    kind: aroundKind.cron(true),
    replaces: { uwsgi: 'unique-cron' },
    summary: 'As `cron`, but never while the last run still goes on.',
    example: 'unique-cron = -5 -1 -1 -1 -1 /srv/shop/poll',
    setting: 'cron',
    neededBy: ['master'],
  },
  cron2: {
    ...around,
    kind: aroundKind.cronWithKeys,
    replaces: { uwsgi: 'cron2' },
    summary: 'As `cron`, with names: `minute`, `hour`, `day`, `month`, `week`, `unique=1`, `harakiri=SECONDS`.',
    example: 'cron2 = minute=-5,unique=1,harakiri=60 /srv/shop/poll',
    setting: 'cron',
    neededBy: ['master'],
  },
  'cron-harakiri': {
    ...single,
    kind: kind.time(0, 24 * HOUR),
    default: '0',
    replaces: { uwsgi: 'cron-harakiri' },
    summary: 'A cron job that runs longer is killed. 0: no limit.',
    example: 'cron-harakiri = 300',
    setting: 'cronHarakiriMs',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
