/**
 * The rows of the option table about reloads: what a new worker must prove, and what starts a reload besides signals
 * and the command. A part of `worker-options.ts`; `options.ts` explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { readyCheck } from '../kinds/ready-check.js'

const HOUR = 3_600_000

/** In the order in which the reference prints them. */
export const RELOAD_OPTIONS = {
  'ready-check': {
    section: 'workers',
    kind: readyCheck,
    default: null,
    takesEffect: 'next-generation',
    summary:
      'Request to each new worker, on its own unix socket, once it listens. The worker gets no other request until ' +
      'it responds with this status. The check is repeated until `worker-start-timeout`. Without a method GET, ' +
      'without a status any 2xx. Its Host is `localhost`.',
    example: 'ready-check = GET /api/v1/_about 200',
    setting: 'readyCheck',
    neededBy: ['master'],
  },
  'wait-ready': {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    replaces: { pm2: 'wait_ready' },
    summary:
      "A new worker gets requests only after its application has said `process.send('ready')` and listens; it has " +
      '`worker-start-timeout` for both. Without this option the message means nothing. Other messages of an ' +
      'application are dropped. When the worker is to end, the application gets the message `shutdown`, as from ' +
      'PM2, and then SIGTERM; an application that listens to messages only has 1.6 s from then on.',
    example: 'wait-ready = true',
    setting: 'waitReady',
    neededBy: ['worker'],
  },
  soak: {
    section: 'workers',
    kind: kind.time(0, HOUR),
    default: '0',
    takesEffect: 'next-generation',
    summary:
      'How long the first new worker of a reload serves beside all old ones before they are replaced. The reload ' +
      'is rolled back if it dies, if the share of 5xx among its responses exceeds twice that of the old workers by ' +
      '1 %, or if its mean time to the first byte exceeds twice theirs by 50 ms. With fewer than 20 responses ' +
      'there is nothing to compare, and it passes. 0: no soak.',
    example: 'soak = 10s',
    setting: 'soakMs',
    neededBy: ['master'],
  },
  'touch-reload': {
    section: 'workers',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'touch-reload' },
    summary:
      'Reload, as SIGHUP does, when this file is touched, replaced, made or removed. It is checked once a second. ' +
      'With `uid`, root looks as the user who decides about the path.',
    example: 'touch-reload = /srv/app/restart.txt',
    setting: 'touchReload',
    neededBy: ['master'],
  },
  'touch-workers-reload': {
    section: 'workers',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'touch-workers-reload' },
    summary:
      'As `touch-reload`, but the configuration is not read again: new workers get the settings in force. Links in ' +
      '`chdir` and `app` are resolved again.',
    example: 'touch-workers-reload = /srv/app/restart.txt',
    setting: 'touchWorkersReload',
    neededBy: ['master'],
  },
  'touch-chain-reload': {
    section: 'workers',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'touch-chain-reload' },
    summary: 'The same as `touch-workers-reload`: in daimyo every reload goes from one worker to the next.',
    example: 'touch-chain-reload = /srv/app/restart.txt',
    setting: 'touchChainReload',
    neededBy: ['master'],
  },
  'fs-reload': {
    section: 'workers',
    kind: kind.path('cwd'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'fs-reload, py-autoreload', pm2: 'watch', gunicorn: 'reload' },
    summary:
      'Reload, as SIGHUP does, when this file, this folder or an entry directly in it has changed and has then ' +
      'been stable for a second. Up to 10,000 entries of a folder are checked.',
    example: 'fs-reload = /srv/app/conf.d',
    setting: 'fsReload',
    neededBy: ['master'],
  },
  'ini-reload': {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    summary:
      'Reload when the INI, or another file that it reads, has changed and has then been stable for a second. An ' +
      'INI with mistakes is refused, and the log has all of them. An INI that means the same as before replaces no ' +
      'worker.',
    example: 'ini-reload = true',
    setting: 'iniReload',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
