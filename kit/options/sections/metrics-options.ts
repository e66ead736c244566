/** The rows of the option table about metrics. A part of `options.ts`, where a row is explained. Pure. */

import * as kind from '../kinds/option-kinds.js'
import type { OptionRow } from '../kinds/option-row.js'
import type { ListenAddress } from '../values/value-types.js'

const METRICS_ADDRESS: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 9117 }

export const METRICS_OPTIONS = {
  metrics: {
    section: 'metrics',
    kind: kind.addressOrOff(METRICS_ADDRESS),
    default: '127.0.0.1:9117',
    takesEffect: 'restart',
    replaces: { uwsgi: 'stats', nginx: 'stub_status' },
    summary: 'Address at which the master serves `/metrics` for Prometheus; `false`: none.',
    example: 'metrics = :9117',
    setting: 'metrics',
    neededBy: ['master'],
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
    neededBy: ['master', 'proxy'],
  },
  'metrics-path': {
    section: 'metrics',
    kind: kind.urlPath,
    default: null,
    takesEffect: 'live',
    summary: 'Path of the public listeners that serves the same metrics.',
    example: 'metrics-path = /api/v1/metrics',
    setting: 'metricsPath',
    neededBy: ['master'],
  },
} as const satisfies Record<string, OptionRow>
