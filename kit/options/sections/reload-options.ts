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
      'What each new worker is asked on its own unix socket once it listens; it gets no request before it has answered with that status. It is ' +
      'asked again until `worker-start-timeout`. Without a method GET, without a status any 2xx. Its Host is `localhost`.',
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
      "A new worker gets requests only once its application has said `process.send('ready')` and listens; it has `worker-start-timeout` for both." +
      ' Without it the message means nothing. What else an application sends is dropped. When it is to end it gets the message `shutdown`, as PM2 sends ' +
      'it, and then SIGTERM; one that listens to messages only has 1.6 s from then on.',
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
      'How long the first new worker of a reload serves beside all old ones before they are replaced. If it dies, or if the proxies count more 5xx ' +
      'among its responses than among theirs (over twice the share and 1 %), or longer times to the first byte (over twice the mean and 50 ms), the reload is ' +
      'rolled back. With fewer than 20 responses there is nothing to compare, and it passes. 0: no soak.',
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
      'Reload, as SIGHUP does, when this file is touched, replaced, made or removed. Looked at once a second. With `uid`, root looks as the user who decides about the path.',
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
      'The same, but without reading the configuration again: new workers with the settings in force. Links in `chdir` and `app` are looked up anew.',
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
    summary: 'The same as `touch-workers-reload`: here every reload goes from one worker to the next.',
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
      'Reload, as SIGHUP does, when this file, or a folder or what lies directly in it, has changed and then stood still for a second. Up to 10,000 ' +
      'entries of a folder are looked at.',
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
      'Reload when the INI, or another file that it reads, has changed and then stood still for a second. One with mistakes is refused, with all of them ' +
      'in the log; one that means the same as before replaces nobody.',
    example: 'ini-reload = true',
    setting: 'iniReload',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
