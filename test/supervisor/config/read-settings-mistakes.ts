/** Tests of mistakes: each at its place, all at once, none that follows from another. */

import t from 'tap'
import { BASE, read } from './fixtures/reading.js'

const mistakes: [
  title: string,
  lines: string[],
  expected: [place: string, message: RegExp][],
  source?: Parameters<typeof read>[1],
][] = [
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
  [
    'foreign servers',
    [
      ...BASE,
      'mount = /app',
      'http-to = /a=http://a:1',
      'http-to = /a=http://b:1',
      'http-to = /app=http://a:1',
      'http-to = /b=a:1',
      'http-to = /c=http://me:hunter2@a:1',
      'http-to = http://a:1',
    ],
    [
      ['shop.ini:6', /^http-to: received \/a twice: accepted one line with all its URLs$/],
      ['shop.ini:7', /^http-to: received \/app, which `mount` gives to the application: accepted another path$/],
      ['shop.ini:8', /^http-to: received \/b=a:1: accepted MOUNT=URL.* \(did you mean `\/b=http:\/\/a:1`\?\)$/],
      ['shop.ini:9', /^http-to: received \/c=\*\*\*@a:1: accepted MOUNT=URL.* without user/],
      ['shop.ini:10', /^http-to: received http:\/\/a:1: accepted MOUNT=URL/],
    ],
  ],
  ['no listener', ['app = app.js'], [['shop.ini', /^http: no listener: /]]],
  ['nothing to serve', ['http = :1'], [['shop.ini', /^app: nothing to serve/]]],
  [
    'nothing at all',
    [],
    [
      ['shop.ini', /no listener/],
      ['shop.ini', /nothing to serve/],
    ],
  ],
  [
    'a value that is missing',
    [...BASE, 'processes'],
    [['shop.ini:4', /^processes: received nothing: accepted a whole number from 1 to 1024/]],
  ],
  [
    'networks',
    [
      ...BASE,
      'trusted-proxies = 10.0.0.0/8, 10.0.0.0/33',
      'trusted-proxies = 10.1.2.3/8',
      'sticky = __Host-w',
      'sticky = a b',
    ],
    [
      [
        'shop.ini:4',
        /^trusted-proxies: received 10\.0\.0\.0\/8, 10\.0\.0\.0\/33: accepted `unix`, or addresses and networks/,
      ],
      ['shop.ini:5', /^trusted-proxies: received 10\.1\.2\.3\/8: .*\(did you mean `10\.0\.0\.0\/8`\?\)$/],
      ['shop.ini:6', /^sticky: received __Host-w: accepted the name of a cookie/],
      ['shop.ini:7', /^sticky: received a b: /],
    ],
  ],
  [
    'a comment behind a value',
    [...BASE, 'processes = 4 ; four', 'harakiri = 30\t# half', 'listen = x # y', 'env = #hunter2 # x'],
    [
      ['shop.ini:4', /^processes: received 4 ; four: .* \(did you mean `4`\?\)$/],
      ['shop.ini:5', /^harakiri: .* \(did you mean `30`\?\)$/],
      ['shop.ini:6', /^listen: received x # y: accepted a whole number from 1 to 65535$/],
      ['shop.ini:7', /^env: received a text without `=`: /],
    ],
  ],
  [
    'units and addresses as others write them',
    [
      ...BASE,
      'limit-post = 10 MB',
      'buffer-size = 16KiB',
      'harakiri = 30sec',
      'idle = 10 minutes',
      'max-worker-lifetime = 2d',
      'limit-post = 10 apples',
      'listen = 127.0.0.1:80',
      'mount = /api=server.js',
      'static-map = public',
    ],
    [
      ['shop.ini:4', /^limit-post: .* \(did you mean `10m`\?\)$/],
      ['shop.ini:5', /^buffer-size: .* \(did you mean `16k`\?\)$/],
      ['shop.ini:6', /^harakiri: .* \(did you mean `30s`\?\)$/],
      ['shop.ini:7', /^idle: .* \(did you mean `10m`\?\)$/],
      ['shop.ini:8', /^max-worker-lifetime: .* \(did you mean `48h`\?\)$/],
      ['shop.ini:9', /^limit-post: received 10 apples: [^(]*$/],
      ['shop.ini:10', /^listen: .* \(did you mean `http = 127.0.0.1:80`\?\)$/],
      ['shop.ini:11', /^mount: .* \(did you mean `\/api`\?\)$/],
      ['shop.ini:12', /^static-map: .* \(did you mean `\/=public`\?\)$/],
    ],
  ],
  [
    'words of other servers',
    [...BASE, 'keepalive_timeout = 65', 'instances = 4', 'ssl_certificate = /x', 'http-timeout = 60'],
    [
      [
        'shop.ini:4',
        /^unknown option: received keepalive_timeout: .* \(nginx’s `keepalive_timeout` is here `http-keepalive`\)$/,
      ],
      ['shop.ini:5', /\(PM2’s `instances` is here `processes`\)$/],
      ['shop.ini:6', /\(nginx’s `ssl_certificate`: TLS is not served here: /],
      ['shop.ini:7', /\(uWSGI’s `http-timeout` is here `http-body-timeout`\)$/],
    ],
  ],
  [
    'out of bounds',
    [...BASE, 'processes = 0', 'listen = 70000'],
    [
      ['shop.ini:4', /^processes: received 0/],
      ['shop.ini:5', /^listen: received 70000: accepted a whole number from 1 to 65535/],
    ],
  ],
  ['a wrong value of another file', [...BASE, 'ini = common.ini'], [['common.ini:2', /^processes: received banana/]]],
  [
    'a wrong line though a later one is right',
    [...BASE, 'processes = x1', 'processes = 2'],
    [['shop.ini:4', /^processes: received x1/]],
  ],
  ['a wrong flag', BASE, [['--processes', /^processes: received many/]], { args: ['processes=many'] }],
  [
    'an unused key is no placeholder',
    [...BASE, 'my-root = /srv'],
    [['shop.ini:4', /^unknown option: received my-root: /]],
  ],
  [
    'a placeholder with the name of an option',
    [...BASE, 'set-placeholder = processes=4'],
    [['shop.ini:4', /^placeholder processes: received the name of an option/]],
  ],
  [
    'an unknown placeholder',
    [...BASE, 'processes = %(n)'],
    [['shop.ini:4', /^processes: no key n for the placeholder/]],
  ],
  [
    'no environment variable',
    [...BASE, 'processes = $(N)'],
    [['shop.ini:4', /^processes: the environment has no variable N/]],
  ],
  [
    'placeholders in a circle',
    [...BASE, 'a=%(b)', 'b=%(a)', 'processes=%(a)'],
    [
      ['shop.ini:4', /circle/],
      ['shop.ini:5', /circle/],
      ['shop.ini:6', /^processes: placeholders in a circle: a → b → a$/],
    ],
  ],
  [
    'a listener twice',
    [...BASE, 'http-socket = 127.0.0.1:8080'],
    [['shop.ini:4', /^http: received 127.0.0.1:8080 twice/]],
  ],
  [
    'metrics on a public listener',
    [...BASE, 'metrics = 127.0.0.1:8080'],
    [['shop.ini:4', /^metrics: received 127.0.0.1:8080, which `http` has/]],
  ],
  [
    'an address and all addresses of its family',
    [...BASE, 'http = :8080', 'http = [::1]:81', 'http = [0:0::0]:81', 'http = :82', 'http-socket = 192.0.2.1:82'],
    [
      [
        'shop.ini:4',
        /^http: received 0\.0\.0\.0:8080, which `http = 127\.0\.0\.1:8080` \(shop\.ini:2\) takes too: accepted one of/,
      ],
      ['shop.ini:6', /^http: received \[0:0::0\]:81, which `http = \[::1\]:81` \(shop\.ini:5\) takes too/],
      ['shop.ini:8', /^http: received 192\.0\.2\.1:82, which `http = 0\.0\.0\.0:82` \(shop\.ini:7\) takes too/],
    ],
  ],
  [
    'one IPv6 address in two spellings',
    [...BASE, 'http = [::1]:81', 'http = [0::1]:81'],
    [['shop.ini:5', /^http: received \[0::1\]:81, which `http = \[::1\]:81` \(shop\.ini:4\) takes too/]],
  ],
  [
    'metrics where a listener has all addresses',
    [...BASE, 'http = :81', 'metrics = 127.0.0.1:81'],
    [['shop.ini:5', /^metrics: received 127\.0\.0\.1:81, which `http = 0\.0\.0\.0:81` \(shop\.ini:4\) takes too/]],
  ],
  [
    'metrics on all addresses beside a listener',
    [...BASE, 'metrics = [::]:8080'],
    [['shop.ini:4', /^metrics: received \[::\]:8080, which `http = 127\.0\.0\.1:8080` \(shop\.ini:2\) takes too/]],
  ],
  ['metrics over everything', [...BASE, 'metrics-path = /'], [['shop.ini:4', /^metrics-path: received \//]]],
  [
    'folders that are not there',
    [
      ...BASE,
      'static-map=/=nosuch',
      'static-map=/a=public',
      'static-map=/b=app.js',
      'check-static=nosuch',
      'chdir=/nosuch',
    ],
    [
      ['shop.ini:3', /^app: no such file: received \/nosuch\/app.js/],
      ['shop.ini:4', /^static-map: no such folder: received \/nosuch\/nosuch/],
      ['shop.ini:5', /^static-map: no such folder/],
      ['shop.ini:6', /^static-map: no such folder/],
      ['shop.ini:7', /^check-static: no such folder/],
      ['shop.ini:8', /^chdir: no such folder: received \/nosuch/],
    ],
  ],
  [
    'folders and pages for answers',
    [
      ...BASE,
      'internal=/p=nosuch',
      'x-sendfile-root=app.js',
      'error-page=404=nosuch.html',
      'error-page=500=large.html',
      'error-page=200=app.js',
    ],
    [
      ['shop.ini:4', /^internal: no such folder/],
      ['shop.ini:5', /^x-sendfile-root: not a folder/],
      ['shop.ini:6', /^error-page: no such file: received \/srv\/nosuch.html: accepted a readable file/],
      ['shop.ini:7', /^error-page: larger than 65536 bytes: received \/srv\/large.html/],
      ['shop.ini:8', /^error-page: received 200=app.js: accepted STATUS=FILE/],
    ],
  ],
  ['a file for a folder', [...BASE, 'check-static=app.js'], [['shop.ini:4', /^check-static: not a folder/]]],
  ['a folder for a file', ['http=:1', 'app=public'], [['shop.ini:3', /^app: not a file/]]],
  [
    'a Python application',
    ['http=:1', 'module=shop.wsgi'],
    [['shop.ini:3', /^app: no such file: .*: a Node application, not a Python one$/]],
  ],
  [
    'nowhere to put files',
    [...BASE, 'pidfile=/nosuch/x', 'logto=public', 'http=/nosuch/s'],
    [
      ['shop.ini:4', /^pidfile: no such folder to hold it/],
      ['shop.ini:5', /^logto: it is a folder/],
      ['shop.ini:6', /^http: no such folder to hold it/],
    ],
  ],
  [
    'a uWSGI mount with an application',
    [...BASE, 'mount=/a=app.js'],
    [['shop.ini:4', /^mount: received \/a=app.js: accepted a URL path/]],
  ],
  ['no such user', [...BASE, 'uid=nobody'], [['shop.ini:4', /^uid: no such user: received nobody/]], { uid: 0 }],
  ['no such group', [...BASE, 'gid=nogroup'], [['shop.ini:4', /^gid: no such group/]]],
  [
    'sockets and names',
    [
      ...BASE,
      'chmod-socket = 888',
      'chmod-socket = 66',
      'chown-socket = a:b:c',
      'chown-socket = :adm',
      'procname-prefix = a\tb',
      'procname = shop',
      'procname-master = shop',
      'cpu-affinity = -1',
    ],
    [
      ['shop.ini:4', /^chmod-socket: received 888: accepted three octal digits/],
      ['shop.ini:5', /^chmod-socket: received 66: /],
      ['shop.ini:6', /^chown-socket: received a:b:c: accepted USER or USER:GROUP/],
      ['shop.ini:7', /^chown-socket: received :adm: /],
      ['shop.ini:8', /^procname-prefix: received a\tb: accepted up to 64 characters/],
      ['shop.ini:9', /^procname: cannot work here: .*`procname-prefix`/],
      ['shop.ini:10', /^procname-master: cannot work here: /],
      ['shop.ini:11', /^cpu-affinity: received -1: accepted a whole number from 0/],
    ],
  ],
  [
    'a prefix twice',
    [...BASE, 'procname-prefix-spaced = a', 'procname-prefix = b'],
    [['shop.ini:4', /^procname-prefix-spaced: received besides `procname-prefix`/]],
  ],
  [
    'no such owner',
    [...BASE, 'http = ./s', 'chown-socket = www-dta:adm'],
    [['shop.ini:5', /^chown-socket: no such user: received www-dta: .*\(did you mean `www-data`\?\)$/]],
  ],
  [
    'no such group of an owner',
    [...BASE, 'http = ./s', 'chown-socket = 33:nosuch'],
    [['shop.ini:5', /^chown-socket: no such group: received nosuch: accepted a name of \/etc\/group or a number/]],
  ],
  [
    'a run folder too deep',
    [...BASE, `run-dir=/${'x'.repeat(90)}`],
    [['shop.ini:4', /^run-dir: path too long for unix sockets/]],
  ],
  [
    'an INI too deep for its run folder',
    BASE,
    [['shop.ini', /^run-dir: path too long.* set a shorter `run-dir`/]],
    { environment: { TMPDIR: `/${'x'.repeat(90)}` } },
  ],
  [
    'a missing INI, and nothing about what it might hold',
    [],
    [['nosuch.ini', /^cannot read the configuration: nosuch.ini: no such file$/]],
    { iniPath: 'nosuch.ini' },
  ],
  ['a setter without key', BASE, [['--set', /^set: received no key/]], { args: ['set=x'] }],
  [
    'a refused option on the command line',
    BASE,
    [['--daemonize', /^daemonize: cannot work here: use `daimyo start`/]],
    { args: ['daemonize=x'] },
  ],
]
for (const [title, lines, expected, source] of mistakes) {
  t.test(`mistake: ${title}`, async t => {
    const reading = read(lines, source)
    t.equal(reading.settings === null, expected.length > 0)
    t.same(
      reading.mistakes.map(({ place }) => place),
      expected.map(([place]) => place),
      'places',
    )
    for (const [index, [, message]] of expected.entries()) t.match(reading.mistakes[index]?.message, message)
  })
}

t.test('thousands of mistakes are a bounded answer', async t => {
  const { mistakes } = read(Array.from({ length: 5000 }, (_, n) => `banana${n} = 1`))
  t.equal(mistakes.length, 101)
  t.match(mistakes.at(-1)?.message, /^and 4\d\d\d more$/)
})

t.test('traps for objects are ordinary keys', async t => {
  const { mistakes } = read([...BASE, '__proto__ = 1', 'constructor = 1', 'toString', '[__proto__]', 'processes = 9'])
  t.same(
    mistakes.map(({ message }) => /received (\w+)/.exec(message)?.[1]),
    ['__proto__', 'constructor', 'toString'],
  )
  t.equal(Object.hasOwn(Object.prototype, 'processes'), false)
})
