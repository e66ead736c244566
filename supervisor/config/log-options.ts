/** The rows of the option table that bound the log. A part of `host-options.ts`; `options.ts` explains a row. */

import * as kind from './option-kinds.js'
import type { OptionRow } from './options.js'

/** In the order in which the reference prints them. */
export const LOG_OPTIONS = {
  'log-maxsize': {
    section: 'host',
    kind: kind.size(0, 1024 ** 4),
    default: '0',
    takesEffect: 'restart',
    replaces: { uwsgi: 'log-maxsize', pm2: 'max_size (pm2-logrotate)' },
    summary:
      'Size from which the file of `logto` is kept as a backup with a date behind its name, and a new one begun. It is looked at once a second, and more ' +
      'often when much is written. 0: never; then rotate it from outside and send SIGUSR1.',
    example: 'log-maxsize = 100m',
    setting: 'logMaxBytes',
  },
  'log-backups': {
    section: 'host',
    kind: kind.wholeNumber(0, 10_000),
    default: '10',
    takesEffect: 'restart',
    replaces: { pm2: 'retain (pm2-logrotate)' },
    summary: 'How many backups of `log-maxsize` are kept; the oldest go.',
    example: 'log-backups = 3',
    setting: 'logBackups',
  },
} as const satisfies Record<string, OptionRow>
