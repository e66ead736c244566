/** Kinds of values of the options around the application: daemons, cron jobs, hooks. Pure. */

import type { CronSpec, DaemonSpec, StopSignal } from '../values/value-types.js'
import type { Kind } from './option-kinds.js'

const refuse = { ok: false, hint: null } as const

/** A command for `/bin/sh -c`. */
export const command: Kind<string> = {
  symbol: 'COMMAND',
  accepts: 'a command for /bin/sh',
  parse: text => (text.trim() === '' || text.includes('\0') ? refuse : { ok: true, value: text.trim() }),
  print: value => value,
}

/** `attach-daemon`: a command alone. */
export const daemon: Kind<DaemonSpec> = {
  ...command,
  parse(text, context) {
    const parsed = command.parse(text, context)
    return parsed.ok ? { ok: true, value: daemonOf(parsed.value) } : parsed
  },
  print: value => value.command,
}

const SIGNALS: Record<string, StopSignal> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  9: 'SIGKILL',
  10: 'SIGUSR1',
  12: 'SIGUSR2',
  15: 'SIGTERM',
  28: 'SIGWINCH',
}

/** Spellings of uWSGI's keys. */
const DAEMON_KEYS: Record<string, 'command' | 'stopSignal' | 'reloadSignal' | 'pauseMs'> = {
  cmd: 'command',
  command: 'command',
  exec: 'command',
  stopsignal: 'stopSignal',
  stop_signal: 'stopSignal',
  reloadsignal: 'reloadSignal',
  reload_signal: 'reloadSignal',
  freq: 'pauseMs',
}

/** `attach-daemon2`: `cmd=…,stopsignal=…`. */
export const daemonWithKeys: Kind<DaemonSpec> = {
  symbol: 'KEY=VALUE,…',
  accepts:
    '`cmd=COMMAND`, and `stopsignal=`, `reloadsignal=` (1, 2, 3, 9, 10, 12, 15, 28 or a name such as SIGTERM) and `freq=SECONDS`, with commas ' +
    'between and `\\,` for a comma in a value; a daemon stays in the foreground, so there is no `pidfile`, `control` or `daemonize`',
  parse(text) {
    const spec = daemonOf('')
    for (const part of splitUnescaped(text)) {
      const at = part.indexOf('=')
      const key = at === -1 ? undefined : DAEMON_KEYS[part.slice(0, at).trim()]
      if (key === undefined || !setKey(spec, key, part.slice(at + 1).trim())) return refuse
    }
    return spec.command === '' ? refuse : { ok: true, value: daemonOf(spec.command, spec) }
  },
  print: ({ command, stopSignal, reloadSignal, pauseMs }) =>
    `cmd=${command.replaceAll(',', '\\,')},stopsignal=${stopSignal}` +
    `${reloadSignal === null ? '' : `,reloadsignal=${reloadSignal}`}${pauseMs === 0 ? '' : `,freq=${pauseMs / 1000}`}`,
}

/** `cron` and `unique-cron`: five numbers and a command. */
export function cron(isUnique: boolean): Kind<CronSpec> {
  return {
    symbol: 'MINUTE HOUR DAY MONTH WEEKDAY COMMAND',
    accepts:
      'five numbers and a command: minute (0–59), hour (0–23), day (1–31), month (1–12), weekday (0–7, 0 and 7 are Sunday); -1 is any, -N every N',
    parse(text) {
      const match = /^\s*((?:-?\d{1,2}\s+){5})(\S.*)$/s.exec(text)
      const numbers = match?.[1]?.trim().split(/\s+/).map(Number) ?? []
      const spec = cronOf(numbers, match?.[2]?.trim() ?? '', isUnique, null)
      return spec === null ? refuse : { ok: true, value: spec }
    },
    print: printCron,
  }
}

const CRON_KEYS = ['minute', 'hour', 'day', 'month', 'week']

/** `cron2`: `minute=…,unique=1 COMMAND`. */
export const cronWithKeys: Kind<CronSpec> = {
  symbol: 'KEY=VALUE,… COMMAND',
  accepts:
    'options and a command, such as `minute=-5,unique=1,harakiri=60 /srv/tick`: `minute`, `hour`, `day`, `month`, `week`, each -1 without it, ' +
    '`unique` (0 or 1) and `harakiri` (seconds)',
  parse(text) {
    const [, options = '', command = ''] = /^\s*((?:\w+=-?\d{1,6})(?:,\w+=-?\d{1,6})*)\s+(\S.*)$/s.exec(text) ?? []
    const values = new Map(options.split(',').map(pair => pair.split('=') as [string, string]))
    if ([...values.keys()].some(key => ![...CRON_KEYS, 'unique', 'harakiri'].includes(key))) return refuse
    const unique = values.get('unique') ?? '0'
    const harakiri = Number(values.get('harakiri') ?? 0)
    if (!['0', '1'].includes(unique) || harakiri < 0) return refuse
    const numbers = CRON_KEYS.map(key => Number(values.get(key) ?? -1))
    const spec = cronOf(numbers, command, unique === '1', harakiri === 0 ? null : harakiri * 1000)
    return spec === null ? refuse : { ok: true, value: spec }
  },
  print: printCron,
}

/** `hook-accepting1`: an action, which becomes the command that does it. */
export const hookAction: Kind<string> = {
  symbol: 'ACTION:VALUE',
  accepts: '`exec:COMMAND`, `touch:FILE` or `unlink:FILE`',
  parse(text) {
    const [, action, value = ''] = /^(exec|touch|unlink):\s*(\S.*)$/s.exec(text) ?? []
    if (action === undefined || value.includes('\0')) return refuse
    if (action === 'exec') return { ok: true, value }
    const quoted = `'${value.replaceAll("'", `'\\''`)}'`
    return { ok: true, value: action === 'touch' ? `touch -- ${quoted}` : `rm -f -- ${quoted}` }
  },
  print: value => value,
}

function daemonOf(command: string, more: Partial<DaemonSpec> = {}): DaemonSpec {
  const plain = { command, stopSignal: 'SIGTERM', reloadSignal: null, pauseMs: 0, ...more } as const
  return { ...plain, name: nameOf(command) }
}

/** The program's name, for the log. */
function nameOf(command: string): string {
  return /^(?:exec\s+)?(?:\w+=\S*\s+)*(?:\S*\/)?([\w.+-]+)/.exec(command)?.[1] ?? 'daemon'
}

function setKey(spec: DaemonSpec, key: 'command' | 'stopSignal' | 'reloadSignal' | 'pauseMs', value: string): boolean {
  if (key === 'command') spec.command = value
  else if (key === 'pauseMs') {
    if (!/^\d{1,5}$/.test(value)) return false
    spec.pauseMs = Number(value) * 1000
  } else {
    const name = `SIG${value.toUpperCase().replace(/^SIG/, '')}`
    const signal = SIGNALS[value] ?? Object.values(SIGNALS).find(known => known === name)
    if (signal === undefined || (key === 'reloadSignal' && signal === 'SIGKILL')) return false
    spec[key] = signal
  }
  return true
}

function splitUnescaped(text: string): string[] {
  return text.split(/(?<!\\),/).map(part => part.replaceAll('\\,', ','))
}

const RANGES: [least: number, most: number][] = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
]

function cronOf(numbers: number[], command: string, isUnique: boolean, harakiriMs: number | null): CronSpec | null {
  const areRight = RANGES.every(([least, most], at) => {
    const number = numbers[at] ?? Number.NaN
    return number < 0 ? -number <= most : number >= least && number <= most
  })
  if (!areRight || command === '' || command.includes('\0')) return null
  const [minute = -1, hour = -1, day = -1, month = -1, weekday = -1] = numbers
  return { name: nameOf(command), command, times: { minute, hour, day, month, weekday }, isUnique, harakiriMs }
}

function printCron({ command, times: { minute, hour, day, month, weekday }, isUnique, harakiriMs }: CronSpec): string {
  const options = `${isUnique ? ',unique=1' : ''}${harakiriMs === null ? '' : `,harakiri=${harakiriMs / 1000}`}`
  return `minute=${minute},hour=${hour},day=${day},month=${month},week=${weekday}${options} ${command}`
}
