/**
 * The rows of the option table that say what processes get from the master: limits, CPUs, names. A part of
 * `host-options.ts`; `options.ts` explains a row.
 */

import { type Kind, wholeNumber } from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

/** Octal digits, as umask(1) writes them. */
const fileMask: Kind<number> = {
  symbol: 'MASK',
  accepts: 'three octal digits such as 022, with or without a 0 before them',
  parse: text =>
    /^0?[0-7]{3}$/.test(text) ? { ok: true, value: Number.parseInt(text, 8) } : { ok: false, hint: null },
  print: value => value.toString(8).padStart(3, '0'),
}

/** -20 to 19. */
const niceness: Kind<number> = {
  symbol: 'N',
  accepts: 'a whole number from -20 (first) to 19 (last)',
  parse(text) {
    const value = /^-?\d{1,2}$/.test(text) ? Number(text) : Number.NaN
    return value >= -20 && value <= 19 ? { ok: true, value } : { ok: false, hint: null }
  },
  print: String,
}

/** A part of a process's name, as `ps` can show it. */
const partOfName: Kind<string> = {
  symbol: 'TEXT',
  accepts: 'up to 64 characters, none of them a control character',
  parse: text => (/^[^\0-\x1f\x7f]{1,64}$/.test(text) ? { ok: true, value: text } : { ok: false, hint: null }),
  print: value => value,
}

const name = {
  section: 'host',
  kind: partOfName,
  default: null,
  takesEffect: 'restart',
} as const

const inherited = { section: 'host', default: null, takesEffect: 'restart' } as const

export const PROCESS_OPTIONS = {
  umask: {
    ...inherited,
    kind: fileMask,
    replaces: { uwsgi: 'umask', gunicorn: 'umask' },
    summary:
      'The umask of all processes. Without it they have the umask that daimyo was started with. The sockets of ' +
      'daimyo have modes of their own.',
    example: 'umask = 027',
    setting: 'umask',
    neededBy: ['master'],
  },
  prio: {
    ...inherited,
    kind: niceness,
    replaces: { uwsgi: 'prio', nginx: 'worker_priority' },
    summary: 'The niceness of all processes. Only root may set it below the niceness that daimyo was started with.',
    example: 'prio = 5',
    setting: 'prio',
    neededBy: ['master'],
  },
  'max-fd': {
    ...inherited,
    kind: wholeNumber(64, 1_048_576),
    replaces: { uwsgi: 'max-fd', nginx: 'worker_rlimit_nofile' },
    summary:
      'How many files and sockets each process may have open. Node raises its soft limit to the hard limit by ' +
      'itself; this option sets both, with `prlimit` of util-linux. Only root may go above the hard limit.',
    example: 'max-fd = 65536',
    setting: 'maxFd',
    neededBy: ['master'],
  },
  'cpu-affinity': {
    section: 'workers',
    kind: wholeNumber(0, 1024),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'cpu-affinity', nginx: 'worker_cpu_affinity' },
    summary:
      'Bind each worker to this many CPUs, with `taskset` of util-linux. The worker of slot 1 gets the first CPUs ' +
      'that the master may use, the worker of slot 2 the next ones; after the last CPU the first ones follow ' +
      'again. A respawned or reloaded worker gets the CPUs of its slot. If a worker cannot be bound, it serves all ' +
      'the same, and `affinity-trouble` in the log says why. 0: every worker has all CPUs.',
    example: 'cpu-affinity = 1',
    setting: 'cpuAffinity',
    neededBy: ['master'],
  },
  'procname-prefix': {
    ...name,
    replaces: { uwsgi: 'procname-prefix', pm2: 'name', gunicorn: 'proc_name' },
    summary:
      'Text before the names of master, proxies and workers in `ps`, which say what each is: `daimyo: worker 1 ' +
      'generation 1`.',
    example: 'procname-prefix = shop-',
    setting: 'processNames',
    neededBy: ['master'],
  },
  'procname-prefix-spaced': {
    ...name,
    replaces: { uwsgi: 'procname-prefix-spaced' },
    summary: 'As `procname-prefix`, with a blank after it.',
    example: 'procname-prefix-spaced = shop',
    setting: 'processNames',
    neededBy: ['master'],
  },
  'procname-append': {
    ...name,
    replaces: { uwsgi: 'procname-append' },
    summary: 'Text after the names of master, proxies and workers in `ps`.',
    example: 'procname-append = -shop',
    setting: 'processNames',
    neededBy: ['master'],
  },
  unenv: {
    section: 'application',
    kind: {
      symbol: 'NAME',
      accepts: 'the name of an environment variable: letters, digits and `_`',
      parse: text => (/^[A-Za-z_]\w*$/.test(text) ? { ok: true, value: text } : { ok: false, hint: null }),
      print: value => value,
    } as Kind<string>,
    default: null,
    repeatable: true,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'unenv' },
    summary: 'Workers and commands do not inherit this variable; `env` and `env-file` may set it anew.',
    example: 'unenv = AWS_SECRET_ACCESS_KEY',
    setting: 'unenv',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
