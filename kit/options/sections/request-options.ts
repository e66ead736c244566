/**
 * The rows of the option table about one request: its sizes and its deadlines. A part of `options.ts`, where a row is
 * explained. Pure.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import { HARAKIRI_OPTIONS } from './harakiri-options.js'

const HOUR = 3_600_000
const DAY = 86_400_000

export const REQUEST_OPTIONS = {
  harakiri: {
    section: 'requests',
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'live',
    scopes: ['location'],
    replaces: { uwsgi: 'harakiri', nginx: 'proxy_read_timeout', gunicorn: 'timeout' },
    summary:
      'Deadline of each request; its clock starts when the worker has the whole request. Past it: 504, and a ' +
      'worker whose loop is blocked is killed and replaced. 0: none.',
    example: 'harakiri = 30',
    setting: 'harakiriMs',
    neededBy: ['master', 'proxy'],
  },
  ...HARAKIRI_OPTIONS,
  'buffer-size': {
    section: 'requests',
    // A head crosses the link in one frame: MAX_PAYLOAD_BYTES of kit/link/frames.ts.
    kind: kind.size(1024, 512 * 1024),
    default: '16k',
    takesEffect: 'live',
    replaces: { uwsgi: 'buffer-size', nginx: 'large_client_header_buffers', gunicorn: 'limit_request_field_size' },
    summary: 'Largest head of a request: its first line and all header fields. Past it: 431.',
    example: 'buffer-size = 32k',
    setting: 'bufferSizeBytes',
    neededBy: ['proxy'],
  },
  'http-header-count': {
    section: 'requests',
    // Node's own parser keeps some 1,000 to 2,000 fields and drops the rest in silence; nobody sends that many in good
    // faith.
    kind: kind.wholeNumber(10, 1000),
    default: '1000',
    takesEffect: 'live',
    replaces: { nginx: 'max_headers', gunicorn: 'limit_request_fields' },
    summary: 'Header fields that a request may have. One more: 431.',
    example: 'http-header-count = 100',
    setting: 'httpHeaderCount',
    neededBy: ['proxy'],
  },
  'http-uri-size': {
    section: 'requests',
    kind: kind.size(64, 64 * 1024),
    default: '8k',
    takesEffect: 'live',
    replaces: { nginx: 'large_client_header_buffers', gunicorn: 'limit_request_line' },
    summary: 'Longest target of a request, its path and query. Past it: 414.',
    example: 'http-uri-size = 2k',
    setting: 'httpUriSizeBytes',
    neededBy: ['proxy'],
  },
  'limit-post': {
    section: 'requests',
    kind: kind.size(0, 1024 ** 5),
    default: '0',
    takesEffect: 'live',
    scopes: ['location'],
    replaces: { uwsgi: 'limit-post', nginx: 'client_max_body_size' },
    summary:
      'Largest body of a request. A request that announces a larger body gets 413 before the body is read, a ' +
      'chunked one as soon as it is larger. 0: no limit.',
    example: 'limit-post = 10m',
    setting: 'limitPostBytes',
    neededBy: ['proxy'],
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
    neededBy: ['proxy'],
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
    setting: 'httpHeaderTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-body-timeout': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-timeout', nginx: 'client_body_timeout' },
    summary:
      'How long a client may take to send the next part of a request’s body. Longer: 408. Time in which the ' +
      'application does not read the body does not count.',
    example: 'http-body-timeout = 30',
    setting: 'httpBodyTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-body-min-rate': {
    section: 'requests',
    kind: kind.size(0, 1024 ** 3),
    default: '240',
    takesEffect: 'live',
    summary:
      'Bytes a second that the body of a request must bring. A client below this rate uses up `http-body-timeout`; ' +
      'a faster one regains it. At zero it gets a 408. 0: no rate.',
    example: 'http-body-min-rate = 1k',
    setting: 'httpBodyMinRateBytesPerSecond',
    neededBy: ['proxy'],
  },
  'http-send-timeout': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '60',
    takesEffect: 'live',
    replaces: { uwsgi: 'socket-timeout', nginx: 'send_timeout' },
    summary: 'How long a client may read nothing of a response that waits for it. Longer: its connection is reset.',
    example: 'http-send-timeout = 30',
    setting: 'httpSendTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-half-close-timeout': {
    section: 'requests',
    kind: kind.time(0, HOUR),
    default: '500ms',
    takesEffect: 'live',
    replaces: { nginx: 'proxy_ignore_client_abort' },
    summary:
      'How long an application may take for the first byte of its response to a client that ended its half of the ' +
      'connection less than 100 ms after its request, as `nc -N` does. Longer: the application is told that the ' +
      'client has gone. 0: it is told at once, as it is for clients that end later.',
    example: 'http-half-close-timeout = 10',
    setting: 'httpHalfCloseTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-keepalive': {
    section: 'requests',
    kind: kind.time(1000, HOUR),
    default: '75',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-keepalive', nginx: 'keepalive_timeout', gunicorn: 'keepalive' },
    summary: 'How long a connection may be idle between two requests.',
    example: 'http-keepalive = 30',
    setting: 'httpKeepaliveMs',
    neededBy: ['proxy'],
  },
  'ws-idle-timeout': {
    section: 'requests',
    aliases: ['websocket-idle-timeout'],
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'live',
    replaces: { nginx: 'proxy_read_timeout, proxy_send_timeout' },
    summary:
      'Close a WebSocket that has carried nothing for this time, with code 1001; a ping counts. 0: never. TCP ' +
      'keep-alive finds a client whose host has vanished in any case.',
    example: 'ws-idle-timeout = 3600',
    setting: 'wsIdleTimeoutMs',
    neededBy: ['proxy'],
  },
  'http-keepalive-requests': {
    section: 'requests',
    kind: kind.wholeNumber(0, 1_000_000_000),
    default: '10000',
    takesEffect: 'live',
    replaces: { nginx: 'keepalive_requests' },
    summary:
      'Requests that one connection may carry. The response to the last one says `Connection: close`, and the ' +
      'client’s next connection may go to another proxy. 0: no limit.',
    example: 'http-keepalive-requests = 1000',
    setting: 'httpKeepaliveRequests',
    neededBy: ['proxy'],
  },
  'http-keepalive-time': {
    section: 'requests',
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'live',
    replaces: { nginx: 'keepalive_time' },
    summary:
      'How long a connection takes new requests. The response to a later one says `Connection: close`, and the ' +
      'client’s next connection may go to another proxy. 0: no limit.',
    example: 'http-keepalive-time = 1h',
    setting: 'httpKeepaliveTimeMs',
    neededBy: ['proxy'],
  },
  'http-queue': {
    section: 'requests',
    kind: kind.wholeNumber(1, 1_000_000),
    default: '1024',
    takesEffect: 'live',
    summary: 'Requests of one proxy that may wait for a free worker. One more: 503.',
    example: 'http-queue = 256',
    setting: 'httpQueue',
    neededBy: ['proxy'],
  },
  'http-queue-timeout': {
    section: 'requests',
    kind: kind.time(10, HOUR),
    default: '10',
    takesEffect: 'live',
    summary: 'How long a request may wait for a free worker. Longer: 503.',
    example: 'http-queue-timeout = 5',
    setting: 'httpQueueTimeoutMs',
    neededBy: ['proxy'],
  },
} as const satisfies Record<string, OptionRow>
