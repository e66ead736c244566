/** Tests of the whole reading: from an INI and flags to settings. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readSettings } from '../../../supervisor/config/read-settings.js'
import { BASE, HASH, read } from './fixtures/reading.js'

const settings: [title: string, lines: string[], expected: object, source?: Parameters<typeof read>[1]][] = [
  [
    'defaults',
    BASE,
    {
      iniPath: '/srv/shop.ini',
      app: '/srv/app.js',
      chdir: null,
      processes: 1,
      httpProcesses: 1,
      http: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
      listen: 1024,
      passedBacklog: 65_535,
      staticMap: [],
      checkStatic: [],
      mount: ['/'],
      harakiriMs: 0,
      mountHarakiri: [],
      harakiriQueueThreshold: 0,
      harakiriGracefulTimeoutMs: 0,
      workerReloadMercyMs: 60_000,
      reloadMercyMs: 60_000,
      wsMercyMs: 60_000,
      streamAfterMs: 60_000,
      streamMercyMs: 5000,
      reloadOverlap: null,
      wsIdleTimeoutMs: 0,
      keepChildren: false,
      workerStartTimeoutMs: 60_000,
      lazyApps: false,
      maxRequests: 0,
      maxRequestsDelta: 0,
      maxWorkerLifetimeMs: 0,
      maxWorkerLifetimeDeltaMs: 0,
      minWorkerLifetimeMs: null,
      reloadOnRssBytes: 0,
      evilReloadOnRssBytes: 0,
      memoryReport: false,
      leakAutopsy: null,
      leakAutopsyFiles: 3,
      cheaper: 0,
      cheaperInitial: null,
      cheaperStep: 1,
      cheaperAlgo: 'spare',
      cheaperOverloadMs: 3000,
      cheaperIdleMs: 10_000,
      cheaperBusynessMin: 25,
      cheaperBusynessMax: 50,
      cheaperBusynessMultiplier: 10,
      cheaperBusynessPenalty: 2,
      cheaperRssLimitSoftBytes: 0,
      cheaperRssLimitHardBytes: 0,
      cheap: false,
      lazy: false,
      idleMs: 0,
      dieOnIdle: false,
      nodeArgs: [],
      workerConnections: 1000,
      httpQueue: 1024,
      httpQueueTimeoutMs: 10_000,
      httpHeaderTimeoutMs: 15_000,
      httpKeepaliveMs: 75_000,
      httpKeepaliveRequests: 10_000,
      httpBodyTimeoutMs: 60_000,
      httpBodyMinRateBytesPerSecond: 240,
      httpSendTimeoutMs: 60_000,
      httpHalfCloseTimeoutMs: 500,
      httpConnections: 16_384,
      httpConnectionsPerAddress: 0,
      env: [],
      credentials: null,
      pidfile: null,
      logto: null,
      vacuum: false,
      disableLogging: false,
      bufferSizeBytes: 16_384,
      httpHeaderCount: 1000,
      httpUriSizeBytes: 8192,
      limitPostBytes: 0,
      postBufferingBytes: 0,
      metrics: { kind: 'tcp', host: '127.0.0.1', port: 9117 },
      metricsAuth: null,
      metricsPath: null,
      runDir: /^\/tmp\/daimyo-1000\/shop-/,
    },
  ],
  [
    'listeners keep their order over their two names',
    ['http-socket = :1', 'http = [::1]:2', 'http-socket = /run/x.sock', 'app = app.js'],
    {
      http: [
        { kind: 'tcp', host: '0.0.0.0', port: 1 },
        { kind: 'tcp', host: '::1', port: 2 },
        { kind: 'unix', path: '/run/x.sock' },
      ],
    },
  ],
  [
    'aliases',
    ['http=:1', 'workers=2x+1', 'wsgi-file=app.js', 'http-workers=auto'],
    { processes: 9, app: '/srv/app.js', httpProcesses: 4 },
  ],
  [
    'paths count from chdir, or from the start',
    [
      'http=./s.sock',
      'chdir=sub',
      'app=app.js',
      'static-map=/a=public',
      'check-static=public',
      'pidfile=x.pid',
      'logto=x.log',
      'run-dir=run',
    ],
    {
      chdir: '/srv/sub',
      app: '/srv/sub/app.js',
      staticMap: [{ mount: '/a', folder: '/srv/sub/public' }],
      checkStatic: ['/srv/sub/public'],
      pidfile: '/srv/x.pid',
      logto: '/srv/x.log',
      runDir: '/srv/run',
      http: [{ kind: 'unix', path: '/srv/sub/s.sock' }],
    },
  ],
  ['the last line counts', [...BASE, 'processes = 2', 'workers = 3'], { processes: 3 }],
  [
    'repeatable options add up',
    [...BASE, 'mount=/a', 'mount=/b/', 'env=A=1', 'env=B=2'],
    {
      mount: ['/a', '/b'],
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    },
  ],
  ['flags go before the file', [...BASE, 'processes=2'], { processes: 4 }, { args: ['processes=4'] }],
  ['flags add to repeatable options', [...BASE, 'mount=/a'], { mount: ['/a', '/b'] }, { args: ['mount=/b'] }],
  [
    'a bare switch on the command line',
    BASE,
    { lazyApps: true, disableLogging: true },
    { args: ['lazy-apps', 'disable-logging'] },
  ],
  [
    'a placeholder of the command line',
    [...BASE, 'n = 2', 'processes = %(n)'],
    { processes: 5 },
    { args: ['set-placeholder=n=5'] },
  ],
  [
    'a flag seen as placeholder',
    [...BASE, 'processes = 2', 'max-requests = %(processes)'],
    { processes: 7, maxRequests: 7 },
    { args: ['processes=7'] },
  ],
  ['no INI at all', [], { iniPath: null, app: '/srv/app.js' }, { iniPath: null, args: ['http=:1', 'app=app.js'] }],
  [
    'a section',
    ['[prod]', 'http=:1', 'app=app.js', 'processes=2'],
    { processes: 2, iniPath: '/srv/shop.ini' },
    { iniPath: 'shop.ini:prod' },
  ],
  [
    'placeholders',
    ['root=/srv', 'app=%(root)/app.js', 'http=:1', 'env=H=$(HOME)', 'env=N=%n'],
    {
      app: '/srv/app.js',
      env: [
        { name: 'H', value: '/home/site' },
        { name: 'N', value: 'shop' },
      ],
    },
  ],
  ['an include', [...BASE, 'ini = common.ini:ok'], { processes: 3 }],
  ['metrics off', [...BASE, 'metrics = false'], { metrics: null }],
  ['metrics bare', [...BASE, 'metrics'], { metrics: { kind: 'tcp', host: '127.0.0.1', port: 9117 } }],
  ['a hash from a file', [...BASE, 'metrics-auth = @(hash)'], { metricsAuth: `prometheus:${HASH}` }],
  [
    'static files only',
    ['http=:1', 'static-map=/=public'],
    { app: null, staticMap: [{ mount: '/', folder: '/srv/public' }] },
  ],
  ['uid as root', [...BASE, 'uid=www-data'], { credentials: { user: 'www-data', uid: 33, gid: 34 } }, { uid: 0 }],
  [
    'uid and gid as root',
    [...BASE, 'uid=33', 'gid=adm'],
    { credentials: { user: 'www-data', uid: 33, gid: 4 } },
    { uid: 0 },
  ],
  ['uid as somebody else', [...BASE, 'uid=www-data'], { credentials: null }],
  [
    'sockets, CPUs and names as they are',
    BASE,
    {
      chmodSocket: null,
      chownSocket: null,
      cpuAffinity: 0,
      processNames: { prefix: '', append: '' },
      environmentFiles: [],
    },
  ],
  [
    'sockets, CPUs and names as the INI says',
    [
      ...BASE,
      'http=./s',
      'chmod=0664',
      'chown-socket=www-data:adm',
      'cpu-affinity=2',
      'procname-prefix-spaced=a',
      'procname-append=z',
    ],
    {
      chmodSocket: 0o664,
      chownSocket: { uid: 33, gid: 4 },
      cpuAffinity: 2,
      processNames: { prefix: 'a ', append: 'z' },
    },
  ],
  [
    'bare chmod-socket',
    [...BASE, 'http=./s', 'chmod-socket', 'chown-socket=5000'],
    { chmodSocket: 0o666, chownSocket: { uid: 5000, gid: null } },
  ],
  ['CRLF', BASE.map(line => `${line}\r`), { app: '/srv/app.js' }],
]
for (const [title, lines, expected, source] of settings) {
  t.test(title, async t => {
    const reading = read(lines, source)
    t.same(reading.mistakes, [])
    t.match(reading.settings, expected)
  })
}

t.test('a running master is found though its INI is wrong now', async t => {
  t.equal(read(['banana = 1']).runDir, read(BASE).settings?.runDir)
})

t.test('conf/farm.ini has no mistake, wherever daimyo is started', async t => {
  const top = findTop(dirname(fileURLToPath(import.meta.url)))
  const file = join(top, 'conf/farm.ini')
  const here = readSettings({ iniPath: 'conf/farm.ini', flags: [], environment: {}, cwd: top, uid: 1000 })
  const elsewhere = readSettings({ iniPath: file, flags: [], environment: {}, cwd: '/', uid: 1000 })
  for (const reading of [here, elsewhere]) {
    t.same(reading.mistakes, [])
    t.same(reading.remarks, [])
  }
  t.same({ ...here.settings, startFolder: '/' }, elsewhere.settings)
  t.match(here.settings, {
    app: join(top, 'app/farm/farm.js'),
    mount: ['/api'],
    staticMap: [{ mount: '/', folder: join(top, 'app/farm/static') }],
    env: [{ name: 'FARM_CONFIG', value: join(top, 'conf/farm.cfg') }],
    processes: 2,
    metricsPath: '/api/v1/metrics',
  })
  t.ok(readFileSync(here.settings?.env[0]?.value ?? '', 'utf8'), 'the configuration of the farm is there')
})

/** The repository's top folder: where package.json is. */
function findTop(folder: string): string {
  try {
    readFileSync(join(folder, 'package.json'))
    return folder
  } catch {
    return findTop(dirname(folder))
  }
}
