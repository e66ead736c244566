/**
 * The rows of the option table about listeners, routes, static files and other servers behind a path. A part of
 * `options.ts`, where a row is explained. Pure.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { FORWARDING_OPTIONS } from './forwarding-options.js'
import { RESPONSE_OPTIONS } from './response-options.js'
import { SOCKET_OPTIONS } from './socket-options.js'
import { STATIC_OPTIONS } from './static-options.js'

const HOUR = 3_600_000

export const FRONT_OPTIONS = {
  http: {
    section: 'front',
    aliases: ['http-socket', 'http11-socket'],
    kind: kind.address,
    default: null,
    repeatable: true,
    takesEffect: 'restart',
    replaces: { uwsgi: 'http, http-socket', nginx: 'listen', gunicorn: 'bind' },
    summary:
      'Address on which clients connect. `:8080` is every IPv4 address. `[::]:8080` is every address, or every ' +
      'IPv6 address if another line has an IPv4 address with that port. Port 0 is a free port. A relative socket ' +
      'path is relative to `chdir`. `fd://web` is the socket that systemd passes as FileDescriptorName=web; a ' +
      'socket of systemd with the same address as a line takes its place without that.',
    example: 'http = 127.0.0.1:8080',
    setting: 'http',
    neededBy: ['master'],
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
    neededBy: ['master'],
  },
  listen: {
    section: 'front',
    kind: kind.backlog,
    default: '1024',
    takesEffect: 'restart',
    replaces: { uwsgi: 'listen', nginx: 'listen … backlog=', gunicorn: 'backlog' },
    summary:
      'Connections that may wait to be accepted, for each listener. The kernel lowers it to `net.core.somaxconn`. Without this option a socket that' +
      ' systemd opened has as many as that.',
    example: 'listen = 4096',
    setting: 'listen',
    neededBy: ['master'],
  },
  ...SOCKET_OPTIONS,
  'http-connections': {
    section: 'front',
    kind: kind.wholeNumber(1, 1_000_000),
    default: '16384',
    takesEffect: 'live',
    replaces: { nginx: 'worker_connections' },
    summary:
      'Client connections that one proxy may have open at a time. At the limit the proxy closes the connections ' +
      'that have been idle longest, and new ones wait in the backlog (`listen`) until there is room.',
    example: 'http-connections = 4096',
    setting: 'httpConnections',
    neededBy: ['master', 'proxy'],
  },
  'http-connections-per-address': {
    section: 'front',
    kind: kind.wholeNumber(0, 1_000_000),
    default: '0',
    takesEffect: 'live',
    replaces: { nginx: 'limit_conn' },
    summary:
      'Connections that one proxy may have open at a time with one client address; of an IPv6 address the first 64 ' +
      'bits count. One more: 503. Clients of a unix socket have no address and no limit; `trusted-proxies` have no ' +
      'limit either. 0: no limit.',
    example: 'http-connections-per-address = 100',
    setting: 'httpConnectionsPerAddress',
    neededBy: ['proxy'],
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
    setting: 'mount',
    neededBy: ['master'],
  },
  'static-map': {
    section: 'front',
    kind: kind.staticMap,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'static-map', nginx: 'location … alias' },
    summary: 'Serve the files of FOLDER below MOUNT. The folder is relative to `chdir`.',
    example: 'static-map = /assets=public/assets',
    setting: 'staticMap',
    neededBy: ['master'],
  },
  'check-static': {
    section: 'front',
    kind: kind.path('chdir'),
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'check-static', nginx: 'try_files' },
    summary: 'Look up every path in this folder before the application gets the request. Relative to `chdir`.',
    example: 'check-static = public',
    setting: 'checkStatic',
    neededBy: ['master', 'proxy'],
  },
  ...STATIC_OPTIONS,
  ...RESPONSE_OPTIONS,
  'http-to': {
    section: 'front',
    kind: kind.upstreams,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'http-to', nginx: 'proxy_pass, upstream … server' },
    summary:
      'Paths that go to other HTTP servers, which share the requests. Path, query and Host are passed on ' +
      'unchanged. `harakiri` is the deadline for the response and for each pause in it. `worker-connections` ' +
      'limits each server, and the queue limits each path. A name is resolved for each connection. The workers ' +
      'need no such line.',
    example: 'http-to = /legacy=http://127.0.0.1:9000,http://unix:/run/legacy.sock:',
    setting: 'httpTo',
    neededBy: ['master'],
  },
  'http-connect-timeout': {
    section: 'front',
    kind: kind.time(100, HOUR),
    default: '5',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-connect-timeout', nginx: 'proxy_connect_timeout' },
    summary: 'How long connecting to a server of `http-to` may take. After that the next server is tried.',
    example: 'http-connect-timeout = 2',
    setting: 'httpConnectTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-max-fails': {
    section: 'front',
    kind: kind.wholeNumber(0, 1000),
    default: '3',
    takesEffect: 'live',
    replaces: { nginx: 'upstream … max_fails=' },
    summary:
      'Failures within `http-gracetime` after which a server of `http-to` gets no requests for that time. A server ' +
      'fails if it cannot be reached, breaks off, is late or does not speak HTTP. 0: it always gets its share.',
    example: 'http-max-fails = 1',
    setting: 'httpMaxFails',
    neededBy: ['proxy'],
  },
  'http-gracetime': {
    section: 'front',
    kind: kind.time(100, HOUR),
    default: '10',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-gracetime', nginx: 'upstream … fail_timeout=' },
    summary: 'How long a server of `http-to` that failed gets no requests. Then a single request tries it.',
    example: 'http-gracetime = 30',
    setting: 'httpGracetimeMs',
    neededBy: ['proxy'],
  },
  ...FORWARDING_OPTIONS,
} as const satisfies Record<string, OptionRow>
