/**
 * The rows of the option table that say when a worker is replaced, and how much memory it may have. A part of
 * `worker-options.ts`; `options.ts` explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { megabytes, nodeArguments } from '../kinds/recycling-kinds.js'

const YEAR = 365 * 86_400_000

/** In the order in which the reference prints them. */
export const RECYCLING_OPTIONS = {
  'max-requests-delta': {
    section: 'workers',
    kind: kind.wholeNumber(0, 1_000_000_000),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'max-requests-delta', gunicorn: 'max_requests_jitter' },
    summary:
      'Added to `max-requests` once for each number of the slot (three times for slot 3), so that workers are not ' +
      'replaced all at once.',
    example: 'max-requests-delta = 1000',
    setting: 'maxRequestsDelta',
    neededBy: ['master'],
  },
  'max-worker-lifetime': {
    section: 'workers',
    kind: kind.time(0, YEAR),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'max-worker-lifetime', pm2: 'cron_restart' },
    summary: 'Replace a worker after this time. Its successor is ready before it goes. 0: never.',
    example: 'max-worker-lifetime = 6h',
    setting: 'maxWorkerLifetimeMs',
    neededBy: ['master'],
  },
  'max-worker-lifetime-delta': {
    section: 'workers',
    kind: kind.time(0, YEAR),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'max-worker-lifetime-delta' },
    summary:
      'Added to `max-worker-lifetime` once for each number of the slot (three times for slot 3), so that workers ' +
      'are not replaced all at once.',
    example: 'max-worker-lifetime-delta = 10m',
    setting: 'maxWorkerLifetimeDeltaMs',
    neededBy: ['master'],
  },
  'min-worker-lifetime': {
    section: 'workers',
    kind: kind.time(0, YEAR),
    default: null,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'min-worker-lifetime' },
    summary:
      'How long a worker lives at least before `max-requests`, `max-worker-lifetime` or `reload-on-rss` replaces ' +
      'it. Without it: 60 for `reload-on-rss`, so that a limit below the need of the application does not replace ' +
      'it again and again, and 0 for the others.',
    example: 'min-worker-lifetime = 30',
    setting: 'minWorkerLifetimeMs',
    neededBy: ['master'],
  },
  'reload-on-rss': {
    section: 'workers',
    kind: megabytes,
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'reload-on-rss', pm2: 'max_memory_restart' },
    summary:
      'Replace a worker whose resident memory exceeds this many megabytes; it is checked every two seconds. Its ' +
      'successor is ready before it goes. V8 gets a heap limit (`--max-old-space-size`) 32 MB lower, unless ' +
      '`node-args` or NODE_OPTIONS sets one. 0: never.',
    example: 'reload-on-rss = 512',
    setting: 'reloadOnRssBytes',
    neededBy: ['master'],
  },
  'evil-reload-on-rss': {
    section: 'workers',
    kind: megabytes,
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'evil-reload-on-rss' },
    summary:
      'Kill a worker at once when its resident memory exceeds this many megabytes. Those of its requests that are ' +
      'innocent go to another worker. V8 gets a heap limit as with `reload-on-rss`. 0: never.',
    example: 'evil-reload-on-rss = 1024',
    setting: 'evilReloadOnRssBytes',
    neededBy: ['master'],
  },
  'leak-autopsy': {
    section: 'workers',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'next-generation',
    summary:
      'Folder for heap snapshots, for Chrome’s DevTools. A worker that `reload-on-rss` replaces writes one after ' +
      'its last request, within `worker-reload-mercy`, if the last snapshot is an hour old and the disk has room. ' +
      'A snapshot holds everything that the application has in memory, also passwords and data of clients: only ' +
      'the workers’ user can read the file, and this user and nobody else must be able to write to the folder.',
    example: 'leak-autopsy = /var/lib/shop/autopsies',
    setting: 'leakAutopsy',
    neededBy: ['master'],
  },
  'leak-autopsy-files': {
    section: 'workers',
    kind: kind.wholeNumber(1, 100),
    default: '3',
    takesEffect: 'next-generation',
    summary: 'Heap snapshots that are kept in the folder of `leak-autopsy`. The oldest ones are removed first.',
    example: 'leak-autopsy-files = 1',
    setting: 'leakAutopsyFiles',
    neededBy: ['master'],
  },
  'memory-report': {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'memory-report' },
    summary: 'Log the resident memory and the CPU of each worker once a minute.',
    example: 'memory-report = true',
    setting: 'memoryReport',
    neededBy: ['master'],
  },
  'node-args': {
    section: 'application',
    kind: nodeArguments,
    default: null,
    repeatable: true,
    takesEffect: 'next-generation',
    replaces: { pm2: 'node_args, interpreter_args, source_map_support' },
    summary:
      'Arguments of Node for the workers, as on its command line, with blanks between. Files are relative to ' +
      '`chdir`. Arguments that would run something other than the application are refused.',
    example: 'node-args = --enable-source-maps --import ./instrument.mjs',
    setting: 'nodeArgs',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
