/**
 * The rows of the option table about workers, and of their coming and going. A part of `options.ts`, where a row is
 * explained. Pure.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { RECYCLING_OPTIONS } from './recycling-options.js'
import { RELOAD_OPTIONS } from './reload-options.js'
import { SCALING_OPTIONS } from './scaling-options.js'

const HOUR = 3_600_000
const DAY = 86_400_000

export const WORKER_OPTIONS = {
  processes: {
    section: 'workers',
    aliases: ['workers'],
    kind: kind.processCount(1024),
    default: '1',
    takesEffect: 'live',
    replaces: { uwsgi: 'processes', nginx: 'upstream … server', pm2: 'instances', gunicorn: 'workers' },
    summary: 'Number of workers.',
    example: 'processes = auto',
    setting: 'processes',
    neededBy: ['master'],
  },
  'worker-connections': {
    section: 'workers',
    kind: kind.wholeNumber(1, 100_000),
    default: '1000',
    takesEffect: 'live',
    replaces: { nginx: 'upstream … max_conns=', gunicorn: 'worker_connections' },
    summary: 'Requests that one proxy may have in flight in one worker. Further requests wait in the queue.',
    example: 'worker-connections = 100',
    setting: 'workerConnections',
    neededBy: ['master', 'proxy'],
  },
  'max-requests': {
    section: 'workers',
    kind: kind.wholeNumber(0, 1_000_000_000),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'max-requests', gunicorn: 'max_requests' },
    summary:
      'Replace a worker after so many requests; its successor is ready before it goes. Workers that reach it within ten seconds are ' +
      'replaced every 30 s at last. 0: never.',
    example: 'max-requests = 100000',
    setting: 'maxRequests',
    neededBy: ['master', 'worker'],
  },
  ...RECYCLING_OPTIONS,
  ...SCALING_OPTIONS,
  'worker-start-timeout': {
    section: 'workers',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    replaces: { pm2: 'listen_timeout' },
    summary: 'How long a new worker may take until the application listens.',
    example: 'worker-start-timeout = 20',
    setting: 'workerStartTimeoutMs',
    neededBy: ['master', 'worker'],
  },
  ...RELOAD_OPTIONS,
  'worker-reload-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: {
      uwsgi: 'worker-reload-mercy',
      nginx: 'worker_shutdown_timeout',
      pm2: 'kill_timeout',
      gunicorn: 'graceful_timeout',
    },
    summary:
      'How long a worker that is replaced may take for its requests in flight. After that they are cut. The ' +
      'application has the rest of this time for its own end, but a second at least, as at a stop; then it is ' +
      'killed. A worker with open WebSockets lives on for them, see `ws-mercy`.',
    example: 'worker-reload-mercy = 30',
    setting: 'workerReloadMercyMs',
    neededBy: ['master'],
  },
  'ws-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { nginx: 'worker_shutdown_timeout' },
    summary:
      'How long the WebSockets of a worker that is replaced may stay. The worker gets no new requests meanwhile, ' +
      'and the reload does not wait for it. In the last fifth of that time they are closed one after the other ' +
      'with code 1012. In each slot only the last such worker stays; the one before it has ten seconds.',
    example: 'ws-mercy = 3600',
    setting: 'wsMercyMs',
    neededBy: ['master'],
  },
  'reload-overlap': {
    section: 'workers',
    kind: kind.wholeNumber(0, 1024),
    default: null,
    takesEffect: 'live',
    replaces: { nginx: 'worker_shutdown_timeout' },
    summary:
      'Workers that may still finish long responses while a reload goes on to the next slot; unless set, as many ' +
      'as `processes`. Each keeps its memory until it is done. 0: a reload waits for each, for at most ' +
      '`worker-reload-mercy`.',
    example: 'reload-overlap = 1',
    setting: 'reloadOverlap',
    neededBy: ['master'],
  },
  'stream-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '5',
    takesEffect: 'live',
    replaces: { nginx: 'worker_shutdown_timeout' },
    summary:
      'How long streams may go on at a stop after the application was told of it. After that they are cut. Streams ' +
      'are event streams, and responses that have been under way for `stream-after`. Other responses have ' +
      '`reload-mercy`.',
    example: 'stream-mercy = 10',
    setting: 'streamMercyMs',
    neededBy: ['master'],
  },
  'stream-after': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { nginx: 'worker_shutdown_timeout' },
    summary:
      'Time after which a response counts as a stream for `stream-mercy`. 0: only `text/event-stream` does, at any ' +
      'time.',
    example: 'stream-after = 600',
    setting: 'streamAfterMs',
    neededBy: ['master'],
  },
  'keep-children': {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    replaces: { pm2: 'treekill' },
    summary:
      'Processes that the application has started and not ended stay after the end of its worker. Without this ' +
      'option the log names them as `worker-left-processes`, and they get SIGTERM, and SIGKILL a second later, ' +
      'however the worker ended. Processes that lead a session of their own (`detached: true` of `spawn`, setsid) ' +
      'stay in any case.',
    example: 'keep-children = true',
    setting: 'keepChildren',
    neededBy: ['master', 'proxy', 'worker'],
  },
  'reload-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'reload-mercy', nginx: 'worker_shutdown_timeout' },
    summary: 'How long all processes together may take to stop. After that the rest is killed.',
    example: 'reload-mercy = 30',
    setting: 'reloadMercyMs',
    neededBy: ['master'],
  },
  master: {
    section: 'workers',
    kind: kind.boolean,
    default: 'true',
    takesEffect: 'restart',
    replaces: { uwsgi: 'master' },
    summary: 'There is always a master; `false` changes nothing, and daimyo says so.',
    example: 'master = true',
    setting: null,
    neededBy: [],
  },
  'die-on-term': {
    section: 'workers',
    kind: kind.boolean,
    default: 'true',
    takesEffect: 'restart',
    replaces: { uwsgi: 'die-on-term' },
    summary: 'SIGTERM always stops; `false` changes nothing, and daimyo says so (SIGHUP reloads).',
    example: 'die-on-term = true',
    setting: null,
    neededBy: [],
  },
} as const satisfies Record<string, OptionRow>
