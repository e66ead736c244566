/** What the proxies get of the settings: `supervisor/proxies/proxy-settings.ts`. */

import t from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { proxySettings } from '../../../supervisor/proxies/proxy-settings.js'
import { plainSettings } from '../fixtures/tree.js'

const plain = plainSettings('/srv', '/srv/app.js')
const files = { staticMaps: [{ mount: '/static', folder: '/srv/static' }] }

const cases: [string, Partial<Settings>, Partial<ProxySettings>][] = [
  [
    'the application',
    { mounts: ['/', '/api'] },
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
      upstreams: [{ mount: '/x', addresses: [{ path: '/x.sock' }] }],
      upstreamMaxFails: 4,
      upstreamGraceMs: 5,
    },
    {
      routes: [{ kind: 'upstream', prefix: '/x', upstreams: [{ path: '/x.sock' }] }],
      upstreamMaxFails: 4,
      upstreamGraceMs: 5,
      upstreamConnectMs: 5000,
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
      staticMaps: [{ mount: '/a', folder: '/srv/linked', keepsMount: true }],
      checkStatic: ['/srv/linked', '/srv/other'],
      files: { ...plain.files, safe: ['/srv/linked'] },
    },
    {
      routes: [{ kind: 'static', prefix: '/a', folder: '/srv/real', keepsMount: true }],
      checkStatic: ['/srv/real', '/srv/other'],
      files: { ...plain.files, safe: ['/srv/real'], previous: [] },
    },
  ],
  ['an access log on standard output', { accessLog: true }, { accessLog: { path: '' } }],
  ['an access log in the log file', { accessLog: true, logto: '/var/log/x' }, { accessLog: { path: '/var/log/x' } }],
  ['idle tunnels', { tunnelIdleMs: 10 }, { tunnelIdleMs: 10 }],
  ['no access log', { accessLog: false, logto: '/var/log/x' }, { accessLog: null }],
  [
    'limits',
    { harakiriMs: 7, queueRequests: 8, workerConnections: 9, headFields: 10, targetBytes: 11, postBytes: 12 },
    { harakiriMs: 7, queueRequests: 8, workerConnections: 9, headFields: 10, targetBytes: 11, postBytes: 12 },
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
      harakiriQueue: 4,
    },
    {
      mountHarakiri: [
        { prefix: '/a/b/', ms: 0 },
        { prefix: '/a/', ms: 3 },
        { prefix: '/', ms: 1 },
      ],
      harakiriQueue: 4,
    },
  ],
  [
    'limits of connections',
    {
      keepAliveRequests: 1,
      bodyMs: 2,
      bodyBytesPerSecond: 3,
      sendMs: 4,
      halfCloseMs: 7,
      connections: 5,
      connectionsPerAddress: 6,
    },
    {
      keepAliveRequests: 1,
      bodyMs: 2,
      bodyBytesPerSecond: 3,
      sendMs: 4,
      halfCloseMs: 7,
      connections: 5,
      connectionsPerAddress: 6,
    },
  ],
  ['no compression', {}, { compression: null }],
  [
    'compression, the preferred coding first',
    { autoGzip: true, autoZstd: true, gzipLevel: 5, gzipMinBytes: 10, gzipStreams: 2 },
    {
      compression: {
        codings: [
          { coding: 'zstd', level: 3 },
          { coding: 'gzip', level: 5 },
        ],
        types: ['text/html'],
        minBytes: 10,
        streams: 2,
      },
    },
  ],
  [
    'where files may be named',
    { internalMaps: [{ mount: '/protected', folder: '/srv/linked' }], sendfileRoots: ['/srv/linked', '/srv/more'] },
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
