/** Tests of the whole reading: from an INI and flags to settings, every mistake at its place, all at once, and no secret told. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { describeCheck } from '../../../supervisor/config/describe-check.js'
import { readSettings, type SettingsSource } from '../../../supervisor/config/read-settings.js'
import type { Reading } from '../../../supervisor/config/settings.js'
import { memoryFiles } from './memory-files.js'

const HASH = `scrypt$16384$8$5$${Buffer.alloc(16).toString('base64url')}$${Buffer.alloc(32).toString('base64url')}`
const BASE = ['http = 127.0.0.1:8080', 'app = app.js']

const FILES = {
  '/srv/app.js': '',
  '/srv/public/x': '',
  '/srv/sub/app.js': '',
  '/srv/sub/public/x': '',
  '/srv/common.ini': '[uwsgi]\nprocesses = banana\n[ok]\nprocesses = 3',
  '/srv/hash': `prometheus:${HASH}\n`,
  '/run/x': '',
  '/etc/passwd': 'root:x:0:0::/:\nwww-data:x:33:34::/:\n',
  '/etc/group': 'root:x:0:\nadm:x:4:\n',
}

/** `lines` stand below `[uwsgi]`: the first one is line 2. */
function read(lines: string[], source: Partial<SettingsSource> & { args?: string[] } = {}): Reading {
  const { args = [], ...rest } = source
  return readSettings({
    iniPath: 'shop.ini',
    flags: args.map(arg => ({ name: arg.split('=')[0] ?? '', value: arg.replace(/^[^=]*=?/, ''), place: `--${arg.split('=')[0]}` })),
    environment: { HOME: '/root', DB_PASSWORD: 'hunter2' },
    cwd: '/srv',
    cores: 4,
    uid: 1000,
    gid: 1000,
    files: memoryFiles({ ...FILES, '/srv/shop.ini': ['[uwsgi]', ...lines].join('\n') }),
    ...rest,
  })
}

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
      listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
      backlog: 1024,
      staticMaps: [],
      checkStatic: [],
      mounts: ['/'],
      harakiriMs: 0,
      workerReloadMercyMs: 60_000,
      reloadMercyMs: 60_000,
      workerStartMs: 60_000,
      lazyApps: false,
      maxRequests: 0,
      workerConnections: 1000,
      queueRequests: 1024,
      queueMs: 10_000,
      headMs: 15_000,
      keepAliveMs: 75_000,
      env: [],
      credentials: null,
      pidfile: null,
      logto: null,
      vacuum: false,
      accessLog: true,
      headBytes: 16_384,
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
      listeners: [
        { kind: 'tcp', host: '0.0.0.0', port: 1 },
        { kind: 'tcp', host: '::1', port: 2 },
        { kind: 'unix', path: '/run/x.sock' },
      ],
    },
  ],
  ['aliases', ['http=:1', 'workers=2x+1', 'wsgi-file=app.js', 'http-workers=auto'], { processes: 9, app: '/srv/app.js', httpProcesses: 4 }],
  [
    'paths count from chdir, or from the start',
    ['http=s.sock', 'http=./s.sock', 'chdir=sub', 'app=app.js', 'static-map=/a=public', 'check-static=public', 'pidfile=x.pid', 'logto=x.log', 'run-dir=run'],
    {
      chdir: '/srv/sub',
      app: '/srv/sub/app.js',
      staticMaps: [{ mount: '/a', folder: '/srv/sub/public' }],
      checkStatic: ['/srv/sub/public'],
      pidfile: '/srv/x.pid',
      logto: '/srv/x.log',
      runDir: '/srv/run',
      listeners: [{ kind: 'unix', path: '/srv/sub/s.sock' }],
    },
  ],
  ['the last line counts', [...BASE, 'processes = 2', 'workers = 3'], { processes: 3 }],
  ['repeatable options add up', [...BASE, 'mount=/a', 'mount=/b/', 'env=A=1', 'env=B=2'], { mounts: ['/a', '/b'], env: [{ name: 'A', value: '1' }, { name: 'B', value: '2' }] }],
  ['flags go before the file', [...BASE, 'processes=2'], { processes: 4 }, { args: ['processes=4'] }],
  ['flags add to repeatable options', [...BASE, 'mount=/a'], { mounts: ['/a', '/b'] }, { args: ['mount=/b'] }],
  ['a bare switch on the command line', BASE, { lazyApps: true, accessLog: false }, { args: ['lazy-apps', 'disable-logging'] }],
  ['a placeholder of the command line', [...BASE, 'n = 2', 'processes = %(n)'], { processes: 5 }, { args: ['set-placeholder=n=5'] }],
  ['a flag seen as placeholder', [...BASE, 'processes = 2', 'max-requests = %(processes)'], { processes: 7, maxRequests: 7 }, { args: ['processes=7'] }],
  ['no INI at all', [], { iniPath: null, app: '/srv/app.js' }, { iniPath: null, args: ['http=:1', 'app=app.js'] }],
  ['a section', ['[prod]', 'http=:1', 'app=app.js', 'processes=2'], { processes: 2, iniPath: '/srv/shop.ini' }, { iniPath: 'shop.ini:prod' }],
  ['placeholders', ['root=/srv', 'app=%(root)/app.js', 'http=:1', 'env=H=$(HOME)', 'env=N=%n'], { app: '/srv/app.js', env: [{ name: 'H', value: '/root' }, { name: 'N', value: 'shop' }] }],
  ['an include', [...BASE, 'ini = common.ini:ok'], { processes: 3 }],
  ['metrics off', [...BASE, 'metrics = false'], { metrics: null }],
  ['metrics bare', [...BASE, 'metrics'], { metrics: { kind: 'tcp', host: '127.0.0.1', port: 9117 } }],
  ['a hash from a file', [...BASE, 'metrics-auth = @(hash)'], { metricsAuth: `prometheus:${HASH}` }],
  ['static files only', ['http=:1', 'static-map=/=public'], { app: null, mounts: [] }],
  ['uid as root', [...BASE, 'uid=www-data'], { credentials: { user: 'www-data', uid: 33, gid: 34 } }, { uid: 0 }],
  ['uid and gid as root', [...BASE, 'uid=33', 'gid=adm'], { credentials: { user: 'www-data', uid: 33, gid: 4 } }, { uid: 0 }],
  ['uid as somebody else', [...BASE, 'uid=www-data'], { credentials: null }],
  ['CRLF', BASE.map(line => `${line}\r`), { app: '/srv/app.js' }],
]
for (const [title, lines, expected, source] of settings) {
  t.test(title, async t => {
    const reading = read(lines, source)
    t.same(reading.mistakes, [])
    t.match(reading.settings, expected)
  })
}

const mistakes: [title: string, lines: string[], expected: [place: string, message: RegExp][], source?: Parameters<typeof read>[1]][] = [
  [
    'all at once, in the order of the lines',
    ['http = 8080', 'proceses = 4', 'harakiri = soon', 'app = nosuch.js', 'endif', 'env = A', 'socket = :3031'],
    [
      ['shop.ini:2', /^http: received 8080: accepted `:port`.* \(did you mean `:8080`\?\)$/],
      ['shop.ini:3', /^unknown option: received proceses: .* \(did you mean `processes`\?\)$/],
      ['shop.ini:4', /^harakiri: received soon: accepted seconds/],
      ['shop.ini:5', /^app: no such file: received \/srv\/nosuch.js: accepted an existing file$/],
      ['shop.ini:6', /^endif: /],
      ['shop.ini:7', /^env: received a text without `=`: accepted NAME=VALUE/],
      ['shop.ini:8', /^socket: cannot work here: .* use `http = ADDRESS`/],
    ],
  ],
  ['no listener', ['app = app.js'], [['shop.ini', /^http: no listener: /]]],
  ['nothing to serve', ['http = :1'], [['shop.ini', /^app: nothing to serve/]]],
  ['nothing at all', [], [['shop.ini', /no listener/], ['shop.ini', /nothing to serve/]]],
  ['a value that is missing', [...BASE, 'processes'], [['shop.ini:4', /^processes: received nothing: accepted a whole number from 1 to 1024/]]],
  ['a comment behind a value', [...BASE, 'processes = 4 ; four'], [['shop.ini:4', /^processes: received 4 ; four/]]],
  ['out of bounds', [...BASE, 'processes = 0', 'listen = 70000'], [['shop.ini:4', /^processes: received 0/], ['shop.ini:5', /^listen: received 70000: accepted a whole number from 1 to 65535/]]],
  ['a wrong value of another file', [...BASE, 'ini = common.ini'], [['common.ini:2', /^processes: received banana/]]],
  ['a wrong line though a later one is right', [...BASE, 'processes = x1', 'processes = 2'], [['shop.ini:4', /^processes: received x1/]]],
  ['a wrong flag', BASE, [['--processes', /^processes: received many/]], { args: ['processes=many'] }],
  ['an unused key is no placeholder', [...BASE, 'my-root = /srv'], [['shop.ini:4', /^unknown option: received my-root: /]]],
  ['a placeholder with the name of an option', [...BASE, 'set-placeholder = processes=4'], [['shop.ini:4', /^placeholder processes: received the name of an option/]]],
  ['an unknown placeholder', [...BASE, 'processes = %(n)'], [['shop.ini:4', /^processes: no key n for the placeholder/]]],
  ['no environment variable', [...BASE, 'processes = $(N)'], [['shop.ini:4', /^processes: the environment has no variable N/]]],
  ['placeholders in a circle', [...BASE, 'a=%(b)', 'b=%(a)', 'processes=%(a)'], [['shop.ini:4', /circle/], ['shop.ini:5', /circle/], ['shop.ini:6', /^processes: placeholders in a circle: a → b → a$/]]],
  ['a listener twice', [...BASE, 'http-socket = 127.0.0.1:8080'], [['shop.ini:4', /^http: received 127.0.0.1:8080 twice/]]],
  ['metrics on a public listener', [...BASE, 'metrics = 127.0.0.1:8080'], [['shop.ini:4', /^metrics: received 127.0.0.1:8080, which `http` has/]]],
  ['metrics over everything', [...BASE, 'metrics-path = /'], [['shop.ini:4', /^metrics-path: received \//]]],
  ['folders that are not there', [...BASE, 'static-map=/=nosuch', 'static-map=/a=public', 'static-map=/b=app.js', 'check-static=nosuch', 'chdir=/nosuch'], [
    ['shop.ini:3', /^app: no such file: received \/nosuch\/app.js/],
    ['shop.ini:4', /^static-map: no such folder: received \/nosuch\/nosuch/],
    ['shop.ini:5', /^static-map: no such folder/],
    ['shop.ini:6', /^static-map: no such folder/],
    ['shop.ini:7', /^check-static: no such folder/],
    ['shop.ini:8', /^chdir: no such folder: received \/nosuch/],
  ]],
  ['a file for a folder', [...BASE, 'check-static=app.js'], [['shop.ini:4', /^check-static: not a folder/]]],
  ['a folder for a file', ['http=:1', 'app=public'], [['shop.ini:3', /^app: not a file/]]],
  ['a Python application', ['http=:1', 'module=shop.wsgi'], [['shop.ini:3', /^app: no such file: .*: a Node application, not a Python one$/]]],
  ['nowhere to put files', [...BASE, 'pidfile=/nosuch/x', 'logto=public', 'http=/nosuch/s'], [
    ['shop.ini:4', /^pidfile: no such folder to hold it/],
    ['shop.ini:5', /^logto: it is a folder/],
    ['shop.ini:6', /^http: no such folder to hold it/],
  ]],
  ['a uWSGI mount with an application', [...BASE, 'mount=/a=app.js'], []],
  ['no such user', [...BASE, 'uid=nobody'], [['shop.ini:4', /^uid: no such user: received nobody/]], { uid: 0 }],
  ['no such group', [...BASE, 'gid=nogroup'], [['shop.ini:4', /^gid: no such group/]]],
  ['a run folder too deep', [...BASE, `run-dir=/${'x'.repeat(90)}`], [['shop.ini:4', /^run-dir: path too long for unix sockets/]]],
  ['an INI too deep for its run folder', BASE, [['shop.ini', /^run-dir: path too long.* set a shorter `run-dir`/]], { environment: { TMPDIR: `/${'x'.repeat(90)}` } }],
  ['a missing INI, and nothing about what it might hold', [], [['nosuch.ini', /^cannot read the configuration: nosuch.ini: no such file$/]], { iniPath: 'nosuch.ini' }],
  ['a setter without key', BASE, [['--set', /^set: received no key/]], { args: ['set=x'] }],
  ['a refused option on the command line', BASE, [['--daemonize', /^daemonize: cannot work here: use `daimyo start`/]], { args: ['daemonize=x'] }],
]
for (const [title, lines, expected, source] of mistakes) {
  t.test(`mistake: ${title}`, async t => {
    const reading = read(lines, source)
    t.equal(reading.settings === null, expected.length > 0)
    t.same(reading.mistakes.map(({ place }) => place), expected.map(([place]) => place), 'places')
    for (const [index, [, message]] of expected.entries()) t.match(reading.mistakes[index]?.message, message)
  })
}
