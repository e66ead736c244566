/** Tests `supervisor/screen/status-table.ts`: the table that `daimyo status` prints. */

import t from 'tap'
import type { StatusReport, WorkerReport } from '../../../supervisor/control/control-protocol.js'
import { printAge, printBytes, printStatus } from '../../../supervisor/screen/status-table.js'

const worker: WorkerReport = {
  slot: 1,
  workerId: 7,
  pid: 412,
  phase: 'ready',
  why: 'reload',
  generation: 2,
  requests: 123456,
  inFlight: 3,
  rssBytes: 64 * 1024 * 1024,
  cpuPercent: 12.34,
  lagMs: 0.4,
  deaths: 0,
  sinceMs: 1_000_000,
  socketPath: '/run/x/workers/worker-1.7.sock',
}

const report: StatusReport = {
  version: '0.1.0',
  pid: 400,
  generation: 2,
  sinceMs: 0,
  iniPath: '/etc/daimyo/shop.ini',
  urls: ['http://127.0.0.1:8080', 'unix:/run/shop.sock'],
  metricsUrl: 'http://127.0.0.1:9117/metrics',
  wanted: 2,
  stopping: false,
  reloading: false,
  paused: false,
  workers: [
    worker,
    {
      ...worker,
      slot: 2,
      workerId: 8,
      pid: null,
      phase: 'waiting',
      why: 'crashed\n\u001b[31m',
      rssBytes: null,
      cpuPercent: null,
      lagMs: null,
      deaths: 12,
    },
  ],
  proxies: [
    { proxyId: 1, pid: 401, phase: 'listening', rssBytes: 48 * 1024 * 1024, cpuPercent: 3, deaths: 1, sinceMs: 0 },
  ],
}

t.test('the whole table', async t => {
  t.equal(
    printStatus(report, 1_065_000),
    `daimyo 0.1.0 /etc/daimyo/shop.ini: pid 400, 1 of 2 workers ready, 1 waiting for requests, generation 2, up 17m45s
  http://127.0.0.1:8080
  unix:/run/shop.sock
  http://127.0.0.1:9117/metrics (metrics)

SLOT  PID  PHASE    GEN  REQUESTS  IN FLIGHT  RSS  CPU  LAG  DEATHS  SINCE  WHY
   1  412  ready      2    123456          3  64M  12%  0ms       0  1m05s  reload
   2    -  waiting    2    123456          3    -    -    -      12  1m05s  crashed [31m

PROXY  PID  PHASE      RSS   CPU  DEATHS   SINCE
    1  401  listening  48M  3.0%       1  17m45s
`,
  )
})

t.test('what it does just now, and what it does not have', async t => {
  t.match(printStatus({ ...report, reloading: true }, 0), /up 0s, reloading\n/)
  t.match(printStatus({ ...report, reloading: true, paused: true }, 0), /up 0s, reloading, paused\n/)
  t.match(printStatus({ ...report, reloading: true, stopping: true }, 0), /up 0s, stopping\n/)
  const files = { ...report, iniPath: null, metricsUrl: null, wanted: 0, workers: [], proxies: [] }
  t.equal(
    printStatus(files, 5000),
    'daimyo 0.1.0: pid 400, no workers, generation 2, up 5s\n  http://127.0.0.1:8080\n  unix:/run/shop.sock\n',
  )
})

const ages: [number, string][] = [
  [-5000, '0s'],
  [0, '0s'],
  [59_999, '59s'],
  [60_000, '1m00s'],
  [3_599_999, '59m59s'],
  [3_600_000, '1h00m'],
  [86_399_999, '23h59m'],
  [86_400_000, '1d00h'],
  [100 * 86_400_000 + 5 * 3_600_000, '100d05h'],
]
for (const [ms, expected] of ages) t.equal(printAge(ms), expected, `age ${ms}`)

const sizes: [number, string][] = [
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0K'],
  [1536, '1.5K'],
  [10 * 1024, '10K'],
  [1024 * 1024 - 1, '1.0M'],
  [64.4 * 1024 * 1024, '64M'],
  [9.96 * 1024 ** 3, '10G'],
  [5000 * 1024 ** 4, '5000T'],
]
for (const [bytes, expected] of sizes) t.equal(printBytes(bytes), expected, `size ${bytes}`)
