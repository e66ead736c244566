/** Tests `supervisor/screen/banner.ts`: what the terminal shows after a start. */

import t from 'tap'
import type { StatusReport, WorkerReport } from '../../../supervisor/control/control-protocol.js'
import { printBanner } from '../../../supervisor/screen/banner.js'

const report: StatusReport = {
  version: '0.1.0',
  pid: 400,
  generation: 1,
  sinceMs: 0,
  iniPath: '/srv/my shop/farm.ini',
  urls: ['http://127.0.0.1:8080', 'unix:/run/shop.sock'],
  metricsUrl: 'http://127.0.0.1:9117/metrics',
  wanted: 2,
  stopping: false,
  reloading: false,
  paused: false,
  workers: [],
  proxies: [{ proxyId: 1, pid: 401, phase: 'listening', rssBytes: null, cpuPercent: null, deaths: 0, sinceMs: 0 }],
}

t.test('in the foreground', async t => {
  t.equal(
    printBanner({ report, log: null, mode: 'foreground', program: 'daimyo', cwd: '/srv' }),
    `daimyo 0.1.0 runs with pid 400
  serving  http://127.0.0.1:8080  unix:/run/shop.sock
  metrics  http://127.0.0.1:9117/metrics
  workers  2 (0 ready so far), behind 1 proxy
  config   my shop/farm.ini
  log      here
  status   daimyo status 'my shop/farm.ini'
  reload   daimyo reload 'my shop/farm.ini'   or  kill -HUP 400
  stop     daimyo stop 'my shop/farm.ini'   or  Ctrl-C
`,
  )
})

t.test('at the top, where systemd starts services, paths stay whole', async t => {
  const banner = printBanner({ report, log: null, mode: 'foreground', program: 'daimyo', cwd: '/' })
  t.match(banner, /^ {2}config {3}\/srv\/my shop\/farm\.ini$/m)
})

t.test('in the background, from the command line, static files only', async t => {
  const files = { ...report, iniPath: null, metricsUrl: null, wanted: 0, proxies: [] }
  t.equal(
    printBanner({
      report: files,
      log: '/srv/logs/daimyo.log',
      mode: 'background',
      program: 'node dist/daimyo.js',
      cwd: '/etc',
    }),
    `daimyo 0.1.0 runs with pid 400
  serving  http://127.0.0.1:8080  unix:/run/shop.sock
  metrics  none
  workers  none (static files only), behind 0 proxies
  config   command line
  log      /srv/logs/daimyo.log
  status   node dist/daimyo.js status
  reload   node dist/daimyo.js reload   or  kill -HUP 400
  stop     node dist/daimyo.js stop   or  kill -TERM 400
`,
  )
})

t.test('workers that are ready, and those that are not yet', async t => {
  const worker = (phase: string) => ({ phase }) as WorkerReport
  const cases: [string[], string][] = [
    [['ready', 'ready'], '  workers  2, behind 1 proxy\n'],
    [['ready', 'booting'], '  workers  2 (1 ready so far), behind 1 proxy\n'],
  ]
  for (const [phases, expected] of cases) {
    const banner = printBanner({
      report: { ...report, workers: phases.map(worker) },
      log: null,
      mode: 'foreground',
      program: 'daimyo',
      cwd: '/',
    })
    t.ok(banner.includes(expected), expected)
  }
})
