/**
 * The rows of the option table that say how requests are passed on: whom to believe about the client, how a request is
 * named, which worker gets it, and when it is held back. A part of `front-options.ts`; `options.ts` explains a row.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

const DAY = 86_400_000

/** In the order in which the reference prints them, section by section. */
export const FORWARDING_OPTIONS = {
  'trusted-proxies': {
    section: 'front',
    kind: kind.networks,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { nginx: 'set_real_ip_from, real_ip_recursive', gunicorn: 'forwarded_allow_ips' },
    summary:
      'Proxies in front of this one, as addresses or networks; `unix` means every client of a unix socket. What ' +
      'they say about the client in X-Forwarded-* and Forwarded is believed and extended, and their X-Request-Id ' +
      'is kept; these fields are replaced if anybody else sends them. The client is the last address of ' +
      'X-Forwarded-For that is not trusted. X-Forwarded-Host and X-Forwarded-Port may be lists, and are passed on ' +
      'unchanged: applications read the first entry, so the proxy in front must overwrite the field of a client, ' +
      'not append to it. If X-Forwarded-Proto is a list with one entry for each address, the client’s entry is ' +
      'taken.',
    example: 'trusted-proxies = 10.0.0.0/8, 2001:db8::/32, unix',
    setting: 'trustedProxies',
    neededBy: ['proxy'],
  },
  'http-enable-proxy-protocol': {
    section: 'front',
    aliases: ['enable-proxy-protocol'],
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { uwsgi: 'http-enable-proxy-protocol', nginx: 'listen … proxy_protocol' },
    summary:
      'A new connection of `trusted-proxies` must begin with a header of the PROXY protocol, version 1 or 2 ' +
      '(`send-proxy` or `send-proxy-v2` of HAProxy), of at most 107 or 4096 bytes and within `http-header-timeout`. ' +
      'The client is the one that the header names: in the access log, in X-Forwarded-For, for the application and ' +
      'for `http-connections-per-address`. Forwarding fields are then believed only if the client itself is one of ' +
      '`trusted-proxies`. After `PROXY UNKNOWN`, or a family other than TCP, the address stays that of the proxy, ' +
      'and no field is believed; after LOCAL the request is the proxy’s own. Without a valid header the connection ' +
      'ends without a response. Anybody else speaks HTTP from the first byte, and such a header of theirs gets 400. ' +
      'uWSGI takes the header of version 1 from everybody, and does not insist on it.',
    example: 'http-enable-proxy-protocol = true',
    setting: 'httpEnableProxyProtocol',
    neededBy: ['proxy'],
  },
  'request-id-answer': {
    section: 'front',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { nginx: 'add_header X-Request-Id $request_id' },
    summary:
      'Add the X-Request-Id that the application gets to its response too, and to responses that the proxy sends ' +
      'in its place. The id is unique, and not secret.',
    example: 'request-id-answer = true',
    setting: 'requestIdAnswer',
    neededBy: ['proxy'],
  },
  sticky: {
    section: 'front',
    kind: kind.cookieName,
    default: null,
    takesEffect: 'live',
    replaces: { nginx: 'sticky cookie' },
    summary:
      'Name of a cookie that brings a client back to the worker that first responded to it, or to the successor in ' +
      'the same slot. While that worker is missing, late or full, another one responds and keeps the client.',
    example: 'sticky = worker',
    setting: 'sticky',
    neededBy: ['proxy'],
  },
  'quarantine-deaths': {
    section: 'requests',
    kind: kind.wholeNumber(0, 1000),
    default: '3',
    takesEffect: 'live',
    summary:
      'A request (method and path, without the query) gets 503 for `quarantine-time` after this many workers ' +
      'crashed or blocked with it in flight. A death counts only if all other requests in flight have been ' +
      'answered since. Each proxy counts for itself. 0: never.',
    example: 'quarantine-deaths = 2',
    setting: 'quarantineDeaths',
    neededBy: ['proxy'],
  },
  'quarantine-window': {
    section: 'requests',
    kind: kind.time(1000, DAY),
    default: '300',
    takesEffect: 'live',
    summary: 'The time within which the deaths of `quarantine-deaths` count.',
    example: 'quarantine-window = 10m',
    setting: 'quarantineWindowMs',
    neededBy: ['proxy'],
  },
  'quarantine-time': {
    section: 'requests',
    kind: kind.time(1000, DAY),
    default: '60',
    takesEffect: 'live',
    summary: 'How long a request that kills workers gets 503.',
    example: 'quarantine-time = 5m',
    setting: 'quarantineTimeMs',
    neededBy: ['proxy'],
  },
  'log-request-id': {
    section: 'host',
    kind: kind.boolean,
    default: 'false',
    takesEffect: 'live',
    replaces: { nginx: 'log_format … $request_id' },
    summary: 'End each access line with the X-Request-Id that the application got, or with `-` if it got none.',
    example: 'log-request-id = true',
    setting: 'logRequestId',
    neededBy: ['proxy'],
  },
} as const satisfies Record<string, OptionRow>
