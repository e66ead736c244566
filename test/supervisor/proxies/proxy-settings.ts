/** What the proxies get of the settings: `supervisor/proxies/proxy-settings.ts`. */

import t from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { proxySettings } from '../../../supervisor/proxies/proxy-settings.js'
import { plainSettings } from '../fixtures/tree.js'

const plain = plainSettings('/srv', '/srv/app.js')
const files = { staticMap: [{ mount: '/static', folder: '/srv/static' }] }

const cases: [string, Partial<Settings>, Partial<ProxySettings>][] = [
  [
    'the application',
    { mount: ['/', '/api'] },
    {
      routes: [
        { kind: 'app', prefix: '/' },
        { kind: 'app', prefix: '/api' },
      ],
    },
  ],
  [
    'no application',
    { app: null, ...files },
    { routes: [{ kind: 'static', prefix: '/static', folder: '/srv/static' }] },
  ],
  [
    'foreign servers',
    {
      app: null,
      httpTo: [{ mount: '/x', addresses: [{ path: '/x.sock' }] }],
      httpMaxFails: 4,
      httpGracetimeMs: 5,
    },
    {
      routes: [{ kind: 'upstream', prefix: '/x', upstreams: [{ path: '/x.sock' }] }],
      httpMaxFails: 4,
      httpGracetimeMs: 5,
      httpConnectTimeoutMs: 5000,
    },
  ],
  [
    'everything',
    { metricsPath: '/metrics', ...files },
    {
      routes: [
        { kind: 'metrics', prefix: '/metrics' },
        { kind: 'static', prefix: '/static', folder: '/srv/static' },
        { kind: 'app', prefix: '/' },
      ],
    },
  ],
  [
    'static folders as the release has them',
    {
      app: null,
      staticMap: [{ mount: '/a', folder: '/srv/linked', keepsMount: true }],
      checkStatic: ['/srv/linked', '/srv/other'],
      staticSafe: ['/srv/linked'],
    },
    {
      routes: [{ kind: 'static', prefix: '/a', folder: '/srv/real', keepsMount: true }],
      checkStatic: ['/srv/real', '/srv/other'],
      staticSafe: ['/srv/real'],
      previousFolders: [],
    },
  ],
  ['an access log on standard output', { disableLogging: false }, { accessLog: { path: '' } }],
  [
    'an access log in the log file',
    { disableLogging: false, logto: '/var/log/x' },
    { accessLog: { path: '/var/log/x' } },
  ],
  ['idle tunnels', { wsIdleTimeoutMs: 10 }, { wsIdleTimeoutMs: 10 }],
  ['no access log', { disableLogging: true, logto: '/var/log/x' }, { accessLog: null }],
  [
    'limits',
    {
      harakiriMs: 7,
      httpQueue: 8,
      workerConnections: 9,
      httpHeaderCount: 10,
      httpUriSizeBytes: 11,
      limitPostBytes: 12,
    },
    {
      harakiriMs: 7,
      httpQueue: 8,
      workerConnections: 9,
      httpHeaderCount: 10,
      httpUriSizeBytes: 11,
      limitPostBytes: 12,
    },
  ],
  [
    'harakiri by mount: the longest first, the last of equal ones',
    {
      mountHarakiri: [
        { mount: '/', ms: 1 },
        { mount: '/a', ms: 2 },
        { mount: '/a/b', ms: 0 },
        { mount: '/a', ms: 3 },
      ],
      harakiriQueueThreshold: 4,
    },
    {
      mountHarakiri: [
        { mount: '/a/b/', ms: 0 },
        { mount: '/a/', ms: 3 },
        { mount: '/', ms: 1 },
      ],
      harakiriQueueThreshold: 4,
    },
  ],
  [
    'limits of connections',
    {
      httpKeepaliveRequests: 1,
      httpBodyTimeoutMs: 2,
      httpBodyMinRateBytesPerSecond: 3,
      httpSendTimeoutMs: 4,
      httpHalfCloseTimeoutMs: 7,
      httpConnections: 5,
      httpConnectionsPerAddress: 6,
    },
    {
      httpKeepaliveRequests: 1,
      httpBodyTimeoutMs: 2,
      httpBodyMinRateBytesPerSecond: 3,
      httpSendTimeoutMs: 4,
      httpHalfCloseTimeoutMs: 7,
      httpConnections: 5,
      httpConnectionsPerAddress: 6,
    },
  ],
  [
    'compression',
    { httpAutoGzip: true, httpAutoZstd: true, gzipCompLevel: 5, gzipMinLengthBytes: 10, gzipStreams: 2 },
    {
      httpAutoGzip: true,
      httpAutoBr: false,
      httpAutoZstd: true,
      gzipTypes: ['text/html'],
      gzipCompLevel: 5,
      gzipMinLengthBytes: 10,
      gzipStreams: 2,
    },
  ],
  [
    'where files may be named',
    { internal: [{ mount: '/protected', folder: '/srv/linked' }], xSendfileRoot: ['/srv/linked', '/srv/more'] },
    {
      fileRoots: {
        internal: [{ prefix: '/protected', folder: '/srv/real' }],
        sendfile: [
          { prefix: '/srv/linked', folder: '/srv/real' },
          { prefix: '/srv/real', folder: '/srv/real' },
          { prefix: '/srv/more', folder: '/srv/more' },
        ],
      },
    },
  ],
]
for (const [title, settings, expected] of cases) {
  t.test(title, t => {
    const release = { app: null, chdir: '/srv', folders: new Map([['/srv/linked', '/srv/real']]) }
    const made = proxySettings({ settings: { ...plain, ...settings }, release })
    for (const [name, value] of Object.entries(expected)) t.same(made[name as keyof ProxySettings], value, name)
    t.end()
  })
}
