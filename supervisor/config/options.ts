/**
 * Every option, once. Reading, checking, the command line, `--help`, `docs/options.md`, `check` and the reload all work
 * from these tables; there is no second list. Names are uWSGI's wherever uWSGI has one.
 *
 * To add an option: add a row to OPTIONS (a row without `takesEffect` does not compile), a field to `settings.ts`, and
 * its line to `toSettings` in `read-settings.ts`; then print the reference again: `daimyo help options >
 * docs/options.md`.
 */

import { ANSWER_OPTIONS } from './answer-options.js'
import { AROUND_OPTIONS } from './around-options.js'
import { CONTROL_OPTIONS } from './control-options.js'
import { ENVIRONMENT_OPTIONS } from './environment-options.js'
import { FORWARDING_OPTIONS } from './forwarding-options.js'
import { HARAKIRI_OPTIONS } from './harakiri-options.js'
import { LOG_OPTIONS } from './log-options.js'
import type { Kind } from './option-kinds.js'
import * as kind from './option-kinds.js'
import { PROCESS_OPTIONS } from './process-options.js'
import { RECYCLING_OPTIONS } from './recycling-options.js'
import { RELOAD_OPTIONS } from './reload-options.js'
import { SCALING_OPTIONS } from './scaling-options.js'
import type { ListenAddress, Settings } from './settings.js'
import { SOCKET_OPTIONS } from './socket-options.js'
import { STATIC_OPTIONS } from './static-options.js'

/** Headings of the help and of the reference, in their order. */
export const SECTIONS = {
  application: 'The application',
  front: 'Listeners, routes and static files',
  requests: 'Requests and their deadlines',
  workers: 'Workers',
  around: 'Around the application',
  metrics: 'Metrics',
  host: 'Users, files and logs',
} as const

export type Section = keyof typeof SECTIONS

/** When a changed value counts: at the reload, for workers that start from then on, or after stop and start. */
export type TakesEffect = 'live' | 'next-generation' | 'restart'

export interface OptionRow {
  section: Section
  aliases?: readonly string[]
  kind: Kind<unknown>
  /** As an operator would write it; null: none. */
  default: string | null
  /** Each further line adds a value; otherwise the last one counts. */
  repeatable?: true
  secret?: true
  takesEffect: TakesEffect
  replaces?: { uwsgi?: string; nginx?: string }
  summary: string
  example: string
  /** The field of Settings that it fills; null: it only confirms what is always so. */
  setting: keyof Settings | null
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const METRICS_ADDRESS: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 9117 }

/** The options that have a value. */
export const OPTIONS = {
  app: {
    section: 'application',
    aliases: ['module', 'wsgi-file', 'file'],
    kind: kind.path('chdir'),
    default: null,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'wsgi-file', nginx: 'proxy_pass' },
    summary:
      'Entry file of the Node application, CommonJS or ES module, unmodified. Without it only static files are ' +
      'served. Relative to `chdir`.',
    example: 'app = server.js',
    setting: 'app',
  },
  chdir: {
    section: 'application',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'chdir' },
    summary:
      'Working directory of the workers, and the folder from which `app`, `static-map`, `check-static` and unix' +
      ' sockets count. Relative to where daimyo was started, which is also what counts without it.',
    example: 'chdir = %d..',
    setting: 'chdir',
  },
  env: {
    section: 'application',
    kind: kind.environmentVariable,
    default: null,
    repeatable: true,
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'env', nginx: 'env' },
    summary:
      'Environment variable of workers and commands. A value whose name looks like a secret is never shown; better in an `env-file`.',
    example: 'env = NODE_ENV=production',
    setting: 'env',
  },
  ...ENVIRONMENT_OPTIONS,
  'lazy-apps': {
    section: 'application',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'lazy-apps' },
    summary:
      'Each worker loads the application itself in any case. `true` starts all workers at once; `false` lets ' +
      'the first one prove that the application loads.',
    example: 'lazy-apps = true',
    setting: 'lazyApps',
  },
  http: {
    section: 'front',
    aliases: ['http-socket', 'http11-socket'],
    kind: kind.address,
    default: null,
    repeatable: true,
    takesEffect: 'restart',
    replaces: { uwsgi: 'http, http-socket', nginx: 'listen' },
    summary:
      'Where clients connect. `:8080` is every IPv4 address, `[::]:8080` every address, port 0 a free port. A ' +
      'relative socket path counts from `chdir`. `fd://web` is what systemd passes as FileDescriptorName=web; a ' +
      'socket of systemd with the same address takes its place by itself.',
    example: 'http = 127.0.0.1:8080',
    setting: 'listeners',
  },
  'http-processes': {
    section: 'front',
    aliases: ['http-workers'],
    kind: kind.processCount(64),
    default: '1',
    takesEffect: 'restart',
    replaces: { uwsgi: 'http-processes', nginx: 'worker_processes' },
    summary: 'Number of proxies.',
    example: 'http-processes = 2',
    setting: 'httpProcesses',
  },
  listen: {
    section: 'front',
    kind: kind.wholeNumber(1, 65_535),
    default: '1024',
    takesEffect: 'restart',
    replaces: { uwsgi: 'listen', nginx: 'listen … backlog=' },
    summary:
      'Connections that may wait to be accepted, for each listener. The kernel lowers it to `net.core.somaxconn`.',
    example: 'listen = 4096',
    setting: 'backlog',
  },
  ...SOCKET_OPTIONS,
  'http-connections': {
    section: 'front',
    kind: kind.wholeNumber(1, 1_000_000),
    default: '16384',
    takesEffect: 'live',
    replaces: { nginx: 'worker_connections' },
    summary:
      'Connections of clients that one proxy has open at a time. At the limit the connections that have been idle' +
      ' longest are closed, and new ones wait in the backlog (`listen`) until there is room.',
    example: 'http-connections = 4096',
    setting: 'connections',
  },
  'http-connections-per-address': {
    section: 'front',
    kind: kind.wholeNumber(0, 1_000_000),
    default: '0',
    takesEffect: 'live',
    replaces: { nginx: 'limit_conn' },
    summary:
      'Connections that one proxy has open with one client address at a time; of IPv6 the first 64 bits count. One' +
      ' more: 503. Clients of a unix socket have no address and no limit, `trusted-proxies` no limit. 0: none.',
    example: 'http-connections-per-address = 100',
    setting: 'connectionsPerAddress',
  },
  mount: {
    section: 'front',
    kind: kind.urlPath,
    default: '/',
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'mount', nginx: 'location' },
    summary: 'Paths that go to the application, by whole segments: `/api` is `/api` and everything below `/api/`.',
    example: 'mount = /api',
    setting: 'mounts',
  },
  'static-map': {
    section: 'front',
    kind: kind.staticMap,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-map', nginx: 'location … alias' },
    summary: 'Serve the files of FOLDER below MOUNT. A relative folder counts from `chdir`.',
    example: 'static-map = /assets=public/assets',
    setting: 'staticMaps',
  },
  'check-static': {
    section: 'front',
    kind: kind.path('chdir'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'check-static', nginx: 'try_files' },
    summary: 'Look every path up in this folder before the application is asked. Relative to `chdir`.',
    example: 'check-static = public',
    setting: 'checkStatic',
  },
  ...STATIC_OPTIONS,
  ...ANSWER_OPTIONS,
  'http-to': {
    section: 'front',
    kind: kind.upstreams,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'http-to', nginx: 'proxy_pass, upstream … server' },
    summary:
      'Paths that go to other HTTP servers, which share the requests. Path, query and Host are passed on as they came. ' +
      '`harakiri` is the deadline for the answer and for each pause in it; `worker-connections` and the queue bound each ' +
      'server and each path. A name is resolved for each connection. The workers need no such line.',
    example: 'http-to = /legacy=http://127.0.0.1:9000,http://unix:/run/legacy.sock:',
    setting: 'upstreams',
  },
  'http-connect-timeout': {
    section: 'front',
    kind: kind.time(100, HOUR),
    default: '5',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-connect-timeout', nginx: 'proxy_connect_timeout' },
    summary: 'How long a connection to a server of `http-to` may take. Longer: the next server.',
    example: 'http-connect-timeout = 2',
    setting: 'upstreamConnectMs',
  },
  'http-max-fails': {
    section: 'front',
    kind: kind.wholeNumber(0, 1000),
    default: '3',
    takesEffect: 'live',
    replaces: { nginx: 'upstream … max_fails=' },
    summary:
      'Failures within `http-gracetime` after which a server of `http-to` gets no requests for as long: it cannot be reached, ' +
      'breaks off, is late or does not speak HTTP. 0: it always gets its share.',
    example: 'http-max-fails = 1',
    setting: 'upstreamMaxFails',
  },
  'http-gracetime': {
    section: 'front',
    kind: kind.time(100, HOUR),
    default: '10',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-gracetime', nginx: 'upstream … fail_timeout=' },
    summary: 'How long a server of `http-to` that failed gets no requests; then a single one tries it.',
    example: 'http-gracetime = 30',
    setting: 'upstreamGraceMs',
  },
  ...FORWARDING_OPTIONS,
  harakiri: {
    section: 'requests',
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'harakiri', nginx: 'proxy_read_timeout' },
    summary:
      'Deadline of each request; its clock starts when the worker has the whole of it. Past it: 504, and a ' +
      'worker whose loop is blocked is killed and replaced. 0: none.',
    example: 'harakiri = 30',
    setting: 'harakiriMs',
  },
  ...HARAKIRI_OPTIONS,
  'buffer-size': {
    section: 'requests',
    // A head crosses the link in one frame: MAX_PAYLOAD_BYTES of kit/frames.ts.
    kind: kind.size(1024, 512 * 1024),
    default: '16k',
    takesEffect: 'live',
    replaces: { uwsgi: 'buffer-size', nginx: 'large_client_header_buffers' },
    summary: 'Largest head of a request: its first line and all header fields. Past it: 431.',
    example: 'buffer-size = 32k',
    setting: 'headBytes',
  },
  'http-header-count': {
    section: 'requests',
    kind: kind.wholeNumber(10, 1000),
    default: '1000',
    takesEffect: 'live',
    replaces: { nginx: 'max_headers' },
    summary: 'Header fields that a request may have. One more: 431.',
    example: 'http-header-count = 100',
    setting: 'headFields',
  },
  'http-uri-size': {
    section: 'requests',
    kind: kind.size(64, 64 * 1024),
    default: '8k',
    takesEffect: 'live',
    replaces: { nginx: 'large_client_header_buffers' },
    summary: 'Longest target of a request, its path and query. Past it: 414.',
    example: 'http-uri-size = 2k',
    setting: 'targetBytes',
  },
  'limit-post': {
    section: 'requests',
    kind: kind.size(0, 1024 ** 5),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'limit-post', nginx: 'client_max_body_size' },
    summary:
      'Largest body of a request: one that says it is larger gets 413 before its body is read, a chunked one when it' +
      ' has become larger. 0: no limit.',
    example: 'limit-post = 10m',
    setting: 'postBytes',
  },
  'post-buffering': {
    section: 'requests',
    kind: kind.size(0, 16 * 1024 ** 2),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'post-buffering', nginx: 'client_body_buffer_size' },
    summary:
      'A request body up to this size is received whole before a worker gets the request. 0: it is passed on as' +
      ' it arrives.',
    example: 'post-buffering = 64k',
    setting: 'postBufferingBytes',
  },
  'http-header-timeout': {
    section: 'requests',
    aliases: ['http-headers-timeout'],
    kind: kind.time(1000, HOUR),
    default: '15',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-headers-timeout', nginx: 'client_header_timeout' },
    summary: 'How long a client may take for the whole head of a request.',
    example: 'http-header-timeout = 10',
    setting: 'headMs',
  },
  'http-body-timeout': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-timeout', nginx: 'client_body_timeout' },
    summary:
      'How long a client may keep us waiting for the next part of a request’s body. Longer: 408. Time in which the ' +
      'application does not take what came does not count.',
    example: 'http-body-timeout = 30',
    setting: 'bodyMs',
  },
  'http-body-min-rate': {
    section: 'requests',
    kind: kind.size(0, 1024 ** 3),
    default: '240',
    takesEffect: 'live',
    summary:
      'Bytes a second that the body of a request must bring. What a client is slower uses up the time of ' +
      '`http-body-timeout`, what it is faster wins that back; used up: 408. 0: no rate.',
    example: 'http-body-min-rate = 1k',
    setting: 'bodyBytesPerSecond',
  },
  'http-send-timeout': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'socket-timeout', nginx: 'send_timeout' },
    summary: 'How long a client may take nothing of an answer that waits for it. Longer: its connection is reset.',
    example: 'http-send-timeout = 30',
    setting: 'sendMs',
  },
  'http-keepalive': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '75',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-keepalive', nginx: 'keepalive_timeout' },
    summary: 'How long a connection may be idle between two requests.',
    example: 'http-keepalive = 30',
    setting: 'keepAliveMs',
  },
  'ws-idle-timeout': {
    section: 'requests',
    aliases: ['websocket-idle-timeout'],
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'live',
    replaces: { nginx: 'proxy_read_timeout, proxy_send_timeout' },
    summary:
      'Close a WebSocket through which nothing has passed for so long, with code 1001; a ping counts. 0: never. A' +
      ' client whose host has vanished is found by TCP keep-alive in any case.',
    example: 'ws-idle-timeout = 3600',
    setting: 'tunnelIdleMs',
  },
  'http-keepalive-requests': {
    section: 'requests',
    kind: kind.wholeNumber(0, 1_000_000_000),
    default: '10000',
    takesEffect: 'live',
    replaces: { nginx: 'keepalive_requests' },
    summary:
      'Requests of one connection; the answer to the last one says `Connection: close`, and the client’s next ' +
      'connection may go to another proxy. 0: no limit.',
    example: 'http-keepalive-requests = 1000',
    setting: 'keepAliveRequests',
  },
  'http-queue': {
    section: 'requests',
    kind: kind.wholeNumber(1, 1_000_000),
    default: '1024',
    takesEffect: 'live',
    summary: 'Requests of one proxy that may wait for a free worker. One more: 503.',
    example: 'http-queue = 256',
    setting: 'queueRequests',
  },
  'http-queue-timeout': {
    section: 'requests',
    kind: kind.time(10, HOUR),
    default: '10',
    takesEffect: 'live',
    summary: 'How long a request may wait for a free worker. Longer: 503.',
    example: 'http-queue-timeout = 5',
    setting: 'queueMs',
  },
  processes: {
    section: 'workers',
    aliases: ['workers'],
    kind: kind.processCount(1024),
    default: '1',
    takesEffect: 'live',
    replaces: { uwsgi: 'processes', nginx: 'upstream … server' },
    summary: 'Number of workers.',
    example: 'processes = auto',
    setting: 'processes',
  },
  'worker-connections': {
    section: 'workers',
    kind: kind.wholeNumber(1, 100_000),
    default: '1000',
    takesEffect: 'live',
    replaces: { nginx: 'upstream … max_conns=' },
    summary: 'Requests that one proxy has in flight in one worker at most; further ones wait in the queue.',
    example: 'worker-connections = 100',
    setting: 'workerConnections',
  },
  'max-requests': {
    section: 'workers',
    kind: kind.wholeNumber(0, 1_000_000_000),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'max-requests' },
    summary: 'Replace a worker after so many requests; its successor is ready before it goes. 0: never.',
    example: 'max-requests = 100000',
    setting: 'maxRequests',
  },
  ...RECYCLING_OPTIONS,
  ...SCALING_OPTIONS,
  'worker-start-timeout': {
    section: 'workers',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    summary: 'How long a new worker may take until the application listens.',
    example: 'worker-start-timeout = 20',
    setting: 'workerStartMs',
  },
  ...RELOAD_OPTIONS,
  'worker-reload-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'worker-reload-mercy', nginx: 'worker_shutdown_timeout' },
    summary:
      'How long a worker that is replaced may take to finish what it has in flight; then it is killed. One with open' +
      ' WebSockets lives on for them, see `ws-mercy`.',
    example: 'worker-reload-mercy = 30',
    setting: 'workerReloadMercyMs',
  },
  'ws-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { nginx: 'worker_shutdown_timeout' },
    summary:
      'How long the WebSockets of a worker that is replaced may stay. It takes nothing new meanwhile, and the reload does' +
      ' not wait for it. In the last fifth of that time they are closed with code 1012, one after the other. Of a slot only' +
      ' the last such worker stays; the one before it has ten seconds.',
    example: 'ws-mercy = 3600',
    setting: 'tunnelMercyMs',
  },
  'reload-mercy': {
    section: 'workers',
    kind: kind.time(0, DAY),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'reload-mercy', nginx: 'worker_shutdown_timeout' },
    summary: 'How long the whole tree may take to stop; then what is left is killed.',
    example: 'reload-mercy = 30',
    setting: 'reloadMercyMs',
  },
  master: {
    section: 'workers',
    kind: kind.boolean,
    default: 'true',
    takesEffect: 'restart',
    replaces: { uwsgi: 'master' },
    summary: 'There is always a master; `false` changes nothing and is remarked upon.',
    example: 'master = true',
    setting: null,
  },
  'die-on-term': {
    section: 'workers',
    kind: kind.boolean,
    default: 'true',
    takesEffect: 'restart',
    replaces: { uwsgi: 'die-on-term' },
    summary: 'SIGTERM always stops; `false` changes nothing and is remarked upon (SIGHUP reloads).',
    example: 'die-on-term = true',
    setting: null,
  },
  metrics: {
    section: 'metrics',
    kind: kind.addressOrOff(METRICS_ADDRESS),
    default: '127.0.0.1:9117',
    takesEffect: 'restart',
    replaces: { uwsgi: 'stats', nginx: 'stub_status' },
    summary: 'Where the master answers `/metrics` for Prometheus; `false`: nowhere.',
    example: 'metrics = :9117',
    setting: 'metrics',
  },
  'metrics-auth': {
    section: 'metrics',
    kind: kind.userAndHash,
    default: null,
    secret: true,
    takesEffect: 'live',
    replaces: { nginx: 'auth_basic_user_file' },
    summary: 'HTTP Basic for `metrics` and `metrics-path`; `daimyo hash-password` makes the hash.',
    example: 'metrics-auth = @(/etc/daimyo/metrics-auth)',
    setting: 'metricsAuth',
  },
  'metrics-path': {
    section: 'metrics',
    kind: kind.urlPath,
    default: null,
    takesEffect: 'live',
    summary: 'Path of the public listeners that answers the same metrics.',
    example: 'metrics-path = /api/v1/metrics',
    setting: 'metricsPath',
  },
  uid: {
    section: 'host',
    kind: kind.account('user'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'uid', nginx: 'user' },
    summary:
      'User that proxies and workers become when daimyo was started as root, with its supplementary groups. ' +
      'Without `gid`: with its primary group.',
    example: 'uid = www-data',
    setting: 'credentials',
  },
  gid: {
    section: 'host',
    kind: kind.account('group'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'gid', nginx: 'user' },
    summary: 'Group that proxies and workers become when daimyo was started as root.',
    example: 'gid = www-data',
    setting: 'credentials',
  },
  pidfile: {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'pidfile', nginx: 'pid' },
    summary: 'File for the pid of the master, written when everything is ready. Relative to where daimyo was started.',
    example: 'pidfile = /run/daimyo/shop.pid',
    setting: 'pidfile',
  },
  logto: {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    replaces: { uwsgi: 'logto', nginx: 'error_log, access_log' },
    summary:
      'File for the log of the whole tree; SIGUSR1 opens it again. Without it: standard output. Relative to ' +
      'where daimyo was started.',
    example: 'logto = /var/log/shop.log',
    setting: 'logto',
  },
  ...LOG_OPTIONS,
  'disable-logging': {
    section: 'host',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'disable-logging', nginx: 'access_log off' },
    summary: 'No line for each request.',
    example: 'disable-logging = true',
    setting: 'accessLog',
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
  },
  ...AROUND_OPTIONS,
  ...CONTROL_OPTIONS,
  ...PROCESS_OPTIONS,
  'run-dir': {
    section: 'host',
    kind: kind.path('cwd'),
    default: null,
    takesEffect: 'restart',
    summary:
      'Folder of the workers’ sockets and the control socket. Without it: as root a folder of this INI below ' +
      '`/run/daimyo`, else `$RUNTIME_DIRECTORY`, or a folder of this INI below `$XDG_RUNTIME_DIR/daimyo` or the ' +
      'folder for temporary files. Relative to where daimyo was started.',
    example: 'run-dir = /run/daimyo/shop',
    setting: 'runDir',
  },
} as const satisfies Record<string, OptionRow>

export type OptionName = keyof typeof OPTIONS

export interface MootOption {
  why: string
  /** On the command line the next word belongs to it. */
  takesValue: boolean
}

const ONE_THREAD = 'an application in Node runs on one thread; more `processes` give more cores'
const NODE_MODULES = 'Node finds modules in the `node_modules` folders above the application'
const BUILT_IN = 'everything is built in'

/** uWSGI options that mean nothing in Node: accepted, and the reason is told. */
export const MOOT_OPTIONS: Readonly<Record<string, MootOption>> = {
  'enable-threads': { takesValue: false, why: ONE_THREAD },
  threads: { takesValue: true, why: ONE_THREAD },
  'single-interpreter': { takesValue: false, why: 'each worker is a Node process of its own' },
  'thunder-lock': { takesValue: false, why: 'workers do not accept connections, so there is nothing to lock' },
  virtualenv: { takesValue: true, why: NODE_MODULES },
  'static-cache-paths': { takesValue: true, why: 'what is on disk is always remembered, for less than a second' },
  venv: { takesValue: true, why: NODE_MODULES },
  home: { takesValue: true, why: NODE_MODULES },
  pythonpath: { takesValue: true, why: NODE_MODULES },
  'python-path': { takesValue: true, why: NODE_MODULES },
  plugins: { takesValue: true, why: BUILT_IN },
  plugin: { takesValue: true, why: BUILT_IN },
  callable: { takesValue: true, why: 'what the application listens with or exports is found by itself' },
  'auto-procname': { takesValue: false, why: 'each process has a name that says what it is' },
  'need-app': { takesValue: false, why: 'workers without the application never serve' },
  'no-orphans': { takesValue: false, why: 'children always go away when the master dies' },
  'http-websockets': { takesValue: false, why: 'WebSockets always pass' },
  strict: { takesValue: false, why: 'an unknown option is always a mistake' },
}

/** uWSGI options that cannot be taken over silently, all with a value: a mistake that says what to use instead. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  socket: 'the uwsgi protocol is not spoken: use `http = ADDRESS`, no other server is needed in front',
  'uwsgi-socket': 'the uwsgi protocol is not spoken: use `http = ADDRESS`, no other server is needed in front',
  protocol: 'clients are served HTTP only: use `http = ADDRESS`',
  'fastcgi-socket': 'FastCGI is not spoken: use `http = ADDRESS`',
  'scgi-socket': 'SCGI is not spoken: use `http = ADDRESS`',
  https: 'this version does not serve TLS: use `http = ADDRESS` behind a server that does',
  'https-socket': 'this version does not serve TLS: use `http = ADDRESS` behind a server that does',
  daemonize: 'use `daimyo start` and `logto`, or systemd',
  stats: 'use `metrics = ADDRESS` or `daimyo status`',
  wsgi: 'use `app = FILE`',
  procname: 'it would take away what each process is: use `procname-prefix` or `procname-append`',
  'procname-master': 'the owner of a pidfile is known by its name: use `procname-prefix` or `procname-append`',
  inherit: 'use `include = FILE`',
  xml: 'only INI files are read: write it as INI and use `include`',
  yaml: 'only INI files are read: write it as INI and use `include`',
  json: 'only INI files are read: write it as INI and use `include`',
}

const NAMES = new Map<string, OptionName>()
for (const [name, row] of Object.entries(OPTIONS) as [OptionName, OptionRow][]) {
  for (const key of [name, ...(row.aliases ?? [])]) NAMES.set(key, name)
}

/** The option that a key names, itself or by an alias. */
export function optionNamed(key: string): OptionName | null {
  return NAMES.get(key) ?? null
}

/** A row seen as a row: with all its optional fields. */
export function rowOf(name: OptionName): OptionRow {
  return OPTIONS[name]
}

/** The options in the order of the table. */
export function optionNames(): OptionName[] {
  return Object.keys(OPTIONS) as OptionName[]
}

/** Whether any of the tables knows the key, so that it cannot be a placeholder. */
export function isOptionKey(key: string): boolean {
  return NAMES.has(key) || Object.hasOwn(MOOT_OPTIONS, key) || Object.hasOwn(REFUSED_OPTIONS, key)
}

/** Every key that is accepted with a value, for "did you mean". */
export function acceptedKeys(): string[] {
  return [...NAMES.keys(), ...Object.keys(MOOT_OPTIONS)]
}
