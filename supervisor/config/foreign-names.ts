/**
 * The names of options in other servers: the words of uWSGI, nginx, PM2 and Gunicorn that the option table names as
 * replaced, and a few without an option here. For unknown keys, and for `daimyo help WORD`. Pure.
 */

import { type OptionName, optionNames, rowOf } from '../../kit/options/options.js'
import { didYouMean, nearestName, sameName } from '../../kit/options/words/nearest-name.js'

/** The names of the servers whose words are known, in the order in which they are printed. */
export const SERVERS = { uwsgi: 'uWSGI', nginx: 'nginx', pm2: 'PM2', gunicorn: 'Gunicorn' } as const

export type Server = keyof typeof SERVERS

const KNOWN = Object.keys(SERVERS) as Server[]

/** A word of another server. `options` take its place; if there are none, `instead` says what to do. */
export interface ForeignName {
  servers: Server[]
  options: OptionName[]
  instead: string
}

/** A longer list of options would not help. */
const MOST_OPTIONS = 3

const TLS = 'TLS is not served here: put a server that does in front'
const RESTARTS = 'a worker that dies is started again, ever slower when it dies soon'
const LOG_LINES = 'the lines of the log have one format each, see "The log" in docs/options.md'
const PUSHED = 'metrics are not pushed: Prometheus asks for them at `metrics`'
const ONE_EACH = 'each INI has a master of its own, such as the unit daimyo@NAME'
const APPLICATION = 'this is left to the application'

/** Words without an option, by server. */
const WITHOUT_OPTION: Record<Server, Readonly<Record<string, string>>> = {
  uwsgi: {
    'log-format': LOG_LINES,
    logformat: LOG_LINES,
    'log-date': LOG_LINES,
    'log-encoder': LOG_LINES,
    'stats-push': PUSHED,
    'stats-http': PUSHED,
    emperor: ONE_EACH,
    vassals: ONE_EACH,
    spooler: 'use `attach-daemon` for a process that works beside the workers',
    mule: 'use `attach-daemon` for a process that works beside the workers',
    mules: 'use `attach-daemon` for a process that works beside the workers',
    cache2: APPLICATION,
    'add-header': APPLICATION,
    https2: TLS,
    route: 'use `mount`, `http-to` and `mount-harakiri`, or the application',
    'touch-logreopen': 'use SIGUSR1 or `daimyo logs reopen`',
    'touch-logrotate': 'use `log-maxsize`, or SIGUSR1 after a rotation',
  },
  nginx: {
    ssl_certificate: TLS,
    ssl_certificate_key: TLS,
    ssl: TLS,
    http2: TLS,
    server_name: 'every Host is served alike: each site has an INI of its own',
    add_header: APPLICATION,
    log_format: LOG_LINES,
    return: APPLICATION,
    rewrite: APPLICATION,
  },
  pm2: {
    exec_mode: 'workers are always processes of their own: use `processes`',
    autorestart: RESTARTS,
    max_restarts: RESTARTS,
    min_uptime: RESTARTS,
    restart_delay: RESTARTS,
    exp_backoff_restart_delay: RESTARTS,
    shutdown_with_message: 'the message `shutdown` is always sent, before SIGTERM',
    interpreter: 'workers run the Node that daimyo runs',
    log_date_format: LOG_LINES,
  },
  gunicorn: {
    certfile: TLS,
    keyfile: TLS,
    worker_class: 'an application in Node runs on one thread; more `processes` give more cores',
    access_log_format: LOG_LINES,
    loglevel: LOG_LINES,
    statsd_host: PUSHED,
    daemon: 'use `daimyo start`, or systemd',
  },
}

/** Names of commands elsewhere, and the commands here. */
export const FOREIGN_COMMANDS: Readonly<Record<string, string>> = {
  restart: '`daimyo reload` for new code and a new INI; for what needs a restart `daimyo stop`, then `daimyo start`',
  startOrReload: '`daimyo reload`, or `daimyo start`',
  test: '`daimyo check`',
  configtest: '`daimyo check`',
  list: '`daimyo status`',
  ls: '`daimyo status`',
  ps: '`daimyo status`',
  show: '`daimyo status`',
  monit: '`daimyo top`',
  delete: '`daimyo stop`',
  kill: '`daimyo stop`',
  quit: '`daimyo stop`',
  serve: '`daimyo INI`',
  startup: '`daimyo systemd`',
  '-t': '`daimyo check`',
  '-T': '`daimyo check`',
  '-s': '`daimyo reload`, `daimyo stop` and `daimyo logs reopen`',
  '-c': '`daimyo INI`',
  '-p': '`--processes`',
  '-w': '`--processes`',
  '-b': '`--http`',
}

/** A term of the trade that people look for; the options are explained behind `text`. */
export interface Topic {
  text: string
  options: OptionName[]
}

const RELOADS =
  '`daimyo reload` starts new workers and replaces each old one when its successor is ready: no request is dropped'

const TOPICS: Readonly<Record<string, Topic>> = {
  drain: {
    text: 'a worker that is replaced gets nothing new and answers what it has; at `daimyo stop` all do. How long that may take:',
    options: ['worker-reload-mercy', 'reload-mercy', 'stream-mercy', 'ws-mercy'],
  },
  graceful: {
    text: `${RELOADS}; \`daimyo stop\` answers what is in flight. How long that may take:`,
    options: ['worker-reload-mercy', 'reload-mercy'],
  },
  sse: {
    text: 'event streams are passed on as the application writes them. When a worker is replaced, or at a stop, the application is told and can end them:',
    options: ['worker-reload-mercy', 'stream-mercy', 'stream-after'],
  },
  websocket: { text: 'WebSockets are passed on without an option:', options: ['ws-mercy', 'ws-idle-timeout'] },
  preload: {
    text: 'each worker loads the application by itself, none is forked from one that has. A reload loads new workers while the old ones serve:',
    options: ['lazy-apps', 'lazy'],
  },
  statsd: { text: `${PUSHED}:`, options: ['metrics'] },
  cluster: {
    text: 'the workers are the cluster: the application only listens, and need not fork. For one that forks:',
    options: ['processes', 'cluster-worker'],
  },
  timeout: {
    text: 'Gunicorn’s `timeout` is here `harakiri`; each part of a request has a bound of its own:',
    options: ['harakiri', 'http-body-timeout', 'http-send-timeout', 'http-keepalive', 'http-queue-timeout'],
  },
  listen: { text: 'the address to listen on is `http = ADDRESS`, where nginx has `listen`:', options: ['http'] },
  rolling: { text: `${RELOADS}; \`daimyo restart-worker SLOT\` replaces one:`, options: ['reload-overlap'] },
  rollback: {
    text: 'turn the link of the release back and `daimyo reload`. New code that does not start leaves the old workers serving; so does code that fails soon:',
    options: ['soak'],
  },
  health: {
    text: '`daimyo status` and the metrics tell how it is. What a worker must pass to get requests:',
    options: ['ready-check'],
  },
  tls: { text: TLS, options: [] },
}

/** The same under other names. */
const SAME_TOPICS: Readonly<Record<string, string>> = {
  draining: 'drain',
  eventsource: 'sse',
  websockets: 'websocket',
  'zero-downtime': 'graceful',
  healthcheck: 'health',
}

/** Null: the word is no such term. */
export function topicOf(word: string): Topic | null {
  const name = SAME_TOPICS[word] ?? word
  return Object.hasOwn(TOPICS, name) ? (TOPICS[name] ?? null) : null
}

/** The meaning of another server's word here, or null. */
export function foreignName(word: string): ForeignName | null {
  return replaced(word, isWhole) ?? withoutOption(word) ?? replaced(word, isPart)
}

/**
 * The end of a message about a word that is no option: its meaning here, else the nearest name; `print` makes an option
 * of a name.
 */
export function whatIsMeant(word: string, names: readonly string[], print = (name: string) => name): string {
  const near = nearestName(word, names)
  const foreign = near !== null && sameName(near, word) ? null : foreignName(word)
  if (foreign === null) return didYouMean(near === null ? null : print(near))
  return ` (${describeForeign(word, foreign, print)})`
}

/** ``nginx’s `proxy_pass` is here `app` or `http-to` ``. */
export function describeForeign(
  word: string,
  { servers, options, instead }: ForeignName,
  print = (name: string) => name,
): string {
  const whose = servers.map(server => `${SERVERS[server]}’s`).join(' and ')
  if (options.length === 0) return `${whose} \`${word}\`: ${instead}`
  return `${whose} \`${word}\` is here ${options.map(name => `\`${print(name)}\``).join(' or ')}`
}

function replaced(word: string, isMeant: (names: string | undefined, word: string) => boolean): ForeignName | null {
  const options = optionNames().filter(name => KNOWN.some(server => isMeant(rowOf(name).replaces?.[server], word)))
  const servers = KNOWN.filter(server => options.some(name => isMeant(rowOf(name).replaces?.[server], word)))
  return options.length === 0 ? null : { servers, options: options.slice(0, MOST_OPTIONS), instead: '' }
}

/** The word as it is spelt, else with `_` for `-`. */
function withoutOption(word: string): ForeignName | null {
  for (const isSame of [Object.is, sameName]) {
    for (const server of KNOWN) {
      const [, instead] = Object.entries(WITHOUT_OPTION[server]).find(([name]) => isSame(name, word)) ?? []
      if (instead !== undefined) return { servers: [server], options: [], instead }
    }
  }
  return null
}

/** The table has several names with commas between, and directives with their context: `location … alias`. */
function isWhole(names: string | undefined, word: string): boolean {
  return names?.split(', ').some(item => sameName(item, word)) === true
}

/** A directive, or the words behind the dots. */
function isPart(names: string | undefined, word: string): boolean {
  const parts = names?.split(/, | … /).map(part => /[a-z][\w-]*/i.exec(part)?.[0] ?? '') ?? []
  return parts.some(part => sameName(part, word))
}
