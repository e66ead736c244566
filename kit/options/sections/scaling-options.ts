/**
 * The rows of the option table that say how many workers run, and when. A part of `worker-options.ts`; `options.ts`
 * explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { oneOf } from '../kinds/scaling-kinds.js'
import { CHEAPER_ALGORITHMS } from '../values/value-types.js'

const DAY = 86_400_000
const HOUR = 3_600_000
const TERABYTE = 1024 ** 4
const PERCENT = kind.wholeNumber(0, 100)

/** In the order in which the reference prints them. */
export const SCALING_OPTIONS = {
  cheaper: {
    section: 'workers',
    kind: kind.wholeNumber(0, 1024),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper' },
    summary: 'Least number of workers. More run when the load requires them, up to `processes`. 0: always `processes`.',
    example: 'cheaper = 2',
    setting: 'cheaper',
    neededBy: ['master'],
  },
  'cheaper-initial': {
    section: 'workers',
    kind: kind.wholeNumber(1, 1024),
    default: null,
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-initial' },
    summary: 'Number of workers at the start, between `cheaper` and `processes`. Without it: `cheaper`.',
    example: 'cheaper-initial = 4',
    setting: 'cheaperInitial',
    neededBy: ['master'],
  },
  'cheaper-step': {
    section: 'workers',
    kind: kind.wholeNumber(1, 1024),
    default: '1',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-step' },
    summary: 'Workers that are added at a time. They are removed one by one.',
    example: 'cheaper-step = 2',
    setting: 'cheaperStep',
    neededBy: ['master'],
  },
  'cheaper-algo': {
    section: 'workers',
    kind: oneOf(CHEAPER_ALGORITHMS),
    default: 'spare',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-algo' },
    summary:
      'When workers are added. `spare`: each worker has a request in its hands; of two idle workers one is ' +
      'removed. `busyness`: their event loops work too much of the time; for applications that wait more than they ' +
      'compute, or hold WebSockets. `queue`: requests wait for a worker. `manual`: only by SIGTTIN, SIGTTOU and ' +
      '`daimyo scale`, which override the others too.',
    example: 'cheaper-algo = busyness',
    setting: 'cheaperAlgo',
    neededBy: ['master'],
  },
  'cheaper-overload': {
    section: 'workers',
    kind: kind.time(1000, HOUR),
    default: '3',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-overload' },
    summary: 'How long the load must be too high before workers are added; for `busyness` the length of a cycle.',
    example: 'cheaper-overload = 10',
    setting: 'cheaperOverloadMs',
    neededBy: ['master'],
  },
  'cheaper-idle': {
    section: 'workers',
    kind: kind.time(1000, DAY),
    default: '10',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-idle' },
    summary: 'How long the load must be too low before a worker is removed, for `spare` and `queue`.',
    example: 'cheaper-idle = 60',
    setting: 'cheaperIdleMs',
    neededBy: ['master'],
  },
  'cheaper-busyness-min': {
    section: 'workers',
    kind: PERCENT,
    default: '25',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-busyness-min' },
    summary: 'Percent of the time that event loops work, below which a worker is removed.',
    example: 'cheaper-busyness-min = 20',
    setting: 'cheaperBusynessMin',
    neededBy: ['master'],
  },
  'cheaper-busyness-max': {
    section: 'workers',
    kind: PERCENT,
    default: '50',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-busyness-max' },
    summary: 'Percent of the time that event loops work, above which workers are added.',
    example: 'cheaper-busyness-max = 70',
    setting: 'cheaperBusynessMax',
    neededBy: ['master'],
  },
  'cheaper-busyness-multiplier': {
    section: 'workers',
    kind: kind.wholeNumber(1, 10_000),
    default: '10',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-busyness-multiplier' },
    summary: 'Cycles below `cheaper-busyness-min` before a worker is removed.',
    example: 'cheaper-busyness-multiplier = 20',
    setting: 'cheaperBusynessMultiplier',
    neededBy: ['master'],
  },
  'cheaper-busyness-penalty': {
    section: 'workers',
    kind: kind.wholeNumber(0, 10_000),
    default: '2',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-busyness-penalty' },
    summary: 'Added to the multiplier when a worker that went is missed within as many cycles.',
    example: 'cheaper-busyness-penalty = 5',
    setting: 'cheaperBusynessPenalty',
    neededBy: ['master'],
  },
  'cheaper-rss-limit-soft': {
    section: 'workers',
    kind: kind.size(0, TERABYTE),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-rss-limit-soft' },
    summary: 'No worker is added while all workers together have more resident memory. 0: no limit.',
    example: 'cheaper-rss-limit-soft = 2g',
    setting: 'cheaperRssLimitSoftBytes',
    neededBy: ['master'],
  },
  'cheaper-rss-limit-hard': {
    section: 'workers',
    kind: kind.size(0, TERABYTE),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'cheaper-rss-limit-hard' },
    summary:
      'Workers are removed one by one, down to `cheaper`, while all workers together have more resident memory. 0: ' +
      'no limit.',
    example: 'cheaper-rss-limit-hard = 3g',
    setting: 'cheaperRssLimitHardBytes',
    neededBy: ['master'],
  },
  cheap: {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'restart',
    replaces: { uwsgi: 'cheap' },
    summary: 'Start no worker before the first request for the application. That request waits (`http-queue-timeout`).',
    example: 'cheap = true',
    setting: 'cheap',
    neededBy: ['master'],
  },
  lazy: {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    summary:
      'Workers start without the application (phase `waiting`) and load it when it is needed. The first one loads ' +
      'it at the first request, which waits for it (`http-queue-timeout`; `harakiri` counts from then on). Others ' +
      'load it when there are more requests than workers, and any worker when a client connects to its own socket. ' +
      'So a start does not prove that the application loads, but a reload does: its first worker loads the ' +
      'application at once, and so does the successor of a worker that has loaded it. Each load has ' +
      '`worker-start-timeout` and must pass `ready-check`; when one fails, its requests wait for the next. What ' +
      'uWSGI calls `lazy` is always so here (`lazy-apps`).',
    example: 'lazy = true',
    setting: 'lazy',
    neededBy: ['master', 'proxy'],
  },
  idle: {
    section: 'workers',
    kind: kind.time(0, 30 * DAY),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'idle' },
    summary:
      'All workers end after this time without a request for the application and without a WebSocket. The next ' +
      'request starts them and waits. 0: never.',
    example: 'idle = 10m',
    setting: 'idleMs',
    neededBy: ['master'],
  },
  'die-on-idle': {
    section: 'workers',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'restart',
    replaces: { uwsgi: 'die-on-idle' },
    summary:
      'After `idle` the master ends too, with exit code 0. Only under systemd’s socket activation, where every ' +
      'listener is a socket of systemd: the next client starts it again.',
    example: 'die-on-idle = true',
    setting: 'dieOnIdle',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
