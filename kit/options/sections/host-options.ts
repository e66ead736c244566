/**
 * The rows of the option table about the host: users, files, logs, and what runs around the application. A part of
 * `options.ts`, where a row is explained. Pure.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { AROUND_OPTIONS } from './attached-options.js'
import { PROCESS_OPTIONS } from './process-options.js'

export const HOST_OPTIONS = {
  uid: {
    section: 'host',
    kind: kind.account('user'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'uid', nginx: 'user', pm2: 'uid', gunicorn: 'user' },
    summary:
      'User of proxies, workers, hooks, daemons and cron jobs if daimyo was started as root. They have its ' +
      'supplementary groups, and run as this user from their first instruction on, so it must be able to read Node ' +
      'and daimyo. On Linux that needs setpriv of util-linux. HOME, USER, LOGNAME and SHELL are those of /etc/passwd ' +
      '(a number without an entry has none). ' +
      'Variables of root’s session (MAIL, SUDO_*, SSH_*, XDG_*, DBUS_*) are removed. `env`, `env-file` and ' +
      '`envdir` override this. Without `gid` the group is the user’s primary group.',
    example: 'uid = www-data',
    setting: 'credentials',
    neededBy: ['master'],
  },
  gid: {
    section: 'host',
    kind: kind.account('group'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'gid', nginx: 'user', pm2: 'gid', gunicorn: 'group' },
    summary: 'Group of the same processes if daimyo was started as root.',
    example: 'gid = www-data',
    setting: 'credentials',
    neededBy: ['master'],
  },
  pidfile: {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'pidfile, pidfile2, safe-pidfile', nginx: 'pid', pm2: 'pid_file', gunicorn: 'pidfile' },
    summary: 'File for the pid of the master, written when everything is ready. Relative to where daimyo was started.',
    example: 'pidfile = /run/daimyo/shop.pid',
    setting: 'pidfile',
    neededBy: ['master'],
  },
  logto: {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    replaces: {
      uwsgi: 'logto, logto2, logger, req-logger',
      nginx: 'error_log, access_log',
      pm2: 'out_file, error_file, log_file',
      gunicorn: 'accesslog, errorlog',
    },
    summary:
      'File for the log of all processes; SIGUSR1 opens it again. Without it: standard output. Relative to where ' +
      'daimyo was started.',
    example: 'logto = /var/log/shop.log',
    setting: 'logto',
    neededBy: ['master'],
  },
  'log-maxsize': {
    section: 'host',
    kind: kind.size(0, 1024 ** 4),
    default: '0',
    takesEffect: 'restart',
    replaces: { uwsgi: 'log-maxsize', pm2: 'max_size (pm2-logrotate)' },
    summary:
      'Size at which the file of `logto` becomes a backup with a date behind its name, and a new file begins. The ' +
      'size is checked once a second, and more often when much is written. 0: never; then rotate the file from ' +
      'outside and send SIGUSR1.',
    example: 'log-maxsize = 100m',
    setting: 'logMaxsizeBytes',
    neededBy: ['master'],
  },
  'log-backups': {
    section: 'host',
    kind: kind.wholeNumber(0, 10_000),
    default: '10',
    takesEffect: 'restart',
    replaces: { pm2: 'retain (pm2-logrotate)' },
    summary: 'How many backups of `log-maxsize` are kept. The oldest ones are removed.',
    example: 'log-backups = 3',
    setting: 'logBackups',
    neededBy: ['master'],
  },
  'disable-logging': {
    section: 'host',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'disable-logging', nginx: 'access_log off' },
    summary: 'Write no access line for each request.',
    example: 'disable-logging = true',
    setting: 'disableLogging',
    neededBy: ['master'],
  },
  vacuum: {
    section: 'host',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'vacuum' },
    summary: 'Remove the pidfile and the unix sockets at exit.',
    example: 'vacuum = true',
    setting: 'vacuum',
    neededBy: ['master'],
  },
  ...AROUND_OPTIONS,
  'master-fifo': {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'restart',
    replaces: { uwsgi: 'master-fifo' },
    summary:
      'A FIFO (0600) that takes uWSGI’s letters: `r` `R` `c` `w` `W` reload, `q` stop, `Q` stop at once, `p` pause ' +
      'and resume, `s` write the workers’ state to the log, `l` `L` reopen the logs, `+` one worker more, up to ' +
      '`processes`, `-` one fewer. If there are several FIFOs, a digit chooses the one that is read. After ten ' +
      'reads the FIFO is read every two seconds; a letter that was repeated meanwhile counts once, but each `+` ' +
      'and `-` counts. Users who may write to the folder of the FIFO can command the master. Relative to where ' +
      'daimyo was started.',
    example: 'master-fifo = /run/shop/fifo',
    setting: 'masterFifo',
    neededBy: ['master'],
  },
  ...PROCESS_OPTIONS,
  'run-dir': {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    summary:
      'Folder of the control socket and, in `workers/`, of the workers’ sockets. As root with `uid` it belongs to ' +
      'root, all folders above it must belong to root, and only `workers/` belongs to the user. Without it: as ' +
      'root a folder of this INI below `/run/daimyo`, else `$RUNTIME_DIRECTORY`, or a folder of this INI below ' +
      '`$XDG_RUNTIME_DIR/daimyo` or the folder for temporary files. Relative to where daimyo was started.',
    example: 'run-dir = /run/daimyo/shop',
    setting: 'runDir',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
