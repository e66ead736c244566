/**
 * The rows of the option table that refine harakiri, and the kind of value that only they take. A part of
 * `request-options.ts`; `options.ts` explains a row. Pure.
 */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'

const DAY = 86_400_000

/** `MOUNT=TIME`. */
const mountTime: kind.Kind<{ mount: string; ms: number }> = {
  symbol: 'MOUNT=SECONDS',
  accepts: 'MOUNT=SECONDS, such as `/api/reports=300`, with a time from 0 to 24h',
  parse(text, context) {
    const at = text.lastIndexOf('=')
    const mount = kind.urlPath.parse(text.slice(0, Math.max(at, 0)).trim(), context)
    const ms = kind.time(0, DAY).parse(text.slice(at + 1).trim(), context)
    return at > 0 && mount.ok && ms.ok
      ? { ok: true, value: { mount: mount.value, ms: ms.value } }
      : { ok: false, hint: null }
  },
  print: ({ mount, ms }) => `${mount}=${kind.time(0, DAY).print(ms)}`,
}

/** In the order in which the reference prints them, behind `harakiri`. */
export const HARAKIRI_OPTIONS = {
  'mount-harakiri': {
    section: 'requests',
    kind: mountTime,
    default: null,
    repeatable: true,
    takesEffect: 'live',
    replaces: { uwsgi: 'route = ^/api/reports harakiri:300', nginx: 'location … { proxy_read_timeout }' },
    summary:
      'Another `harakiri` for a path and everything below it; 0: none. The same as `harakiri` in a section ' +
      '`[location:MOUNT]`. The longest matching path counts, and of equal ones the last. An application can change the deadline of one request while it works on it: ' +
      "`globalThis.daimyo?.harakiri(request, seconds)` with Node's own request (Express: `request`, Fastify: " +
      '`request.raw`, Koa: `ctx.req`) sets its deadline to that many seconds from then on, at most 86400; 0: none. ' +
      'Without daimyo, and for requests that did not come through it, the call does nothing.',
    example: 'mount-harakiri = /api/reports=300',
    setting: 'mountHarakiri',
    neededBy: ['master', 'proxy'],
  },
  'harakiri-queue-threshold': {
    section: 'requests',
    kind: kind.wholeNumber(0, 1_000_000),
    default: '0',
    takesEffect: 'live',
    replaces: { uwsgi: 'harakiri-queue-threshold' },
    summary:
      'Harakiri acts only while at least this many requests wait for a worker (`http-queue`) at the same proxy; ' +
      'until then a late request may go on. `http-to` ignores this option. 0: always.',
    example: 'harakiri-queue-threshold = 10',
    setting: 'harakiriQueueThreshold',
    neededBy: ['proxy'],
  },
  'harakiri-graceful-timeout': {
    section: 'requests',
    kind: kind.time(0, DAY),
    default: '0',
    takesEffect: 'next-generation',
    replaces: { uwsgi: 'harakiri-graceful-timeout' },
    summary:
      'How long a worker whose loop is blocked may live before it is killed. It gets no new requests, and its ' +
      'successor starts at once. If its loop turns again, it finishes its requests and ends as at a reload, with ' +
      'the `SIGTERM` listeners of the application. 0: it is killed at once. It is also killed at once if two ' +
      'former workers of its slot have not ended.',
    example: 'harakiri-graceful-timeout = 5',
    setting: 'harakiriGracefulTimeoutMs',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
