/** Tests of remarks, and of secrets: whatever is wrong with them, they are never told. */

import t from 'tap'
import { describeCheck } from '../../../supervisor/help/describe-check.js'
import { memoryFiles } from './fixtures/memory-files.js'
import { BASE, FILES, HASH, read } from './fixtures/reading.js'

const remarks: [
  title: string,
  lines: string[],
  expected: [place: string, message: RegExp][],
  source?: Parameters<typeof read>[1],
][] = [
  ['nothing to say', BASE, []],
  [
    'options without a meaning',
    [...BASE, 'enable-threads', 'plugins = python3', 'master = true'],
    [
      ['shop.ini:4', /^enable-threads: means nothing in Node: /],
      ['shop.ini:5', /^plugins: means nothing in Node: everything is built in/],
    ],
  ],
  [
    'what cannot be turned off',
    [...BASE, 'master = false', 'die-on-term = no'],
    [
      ['shop.ini:4', /^master: false changes nothing/],
      ['shop.ini:5', /^die-on-term: false changes nothing/],
    ],
  ],
  [
    'a value that does not count',
    [...BASE, 'processes = 2', 'processes = 3'],
    [['shop.ini:4', /^processes: 2 does not count: shop.ini:5 says 3/]],
  ],
  [
    'a section that is almost ours',
    [...BASE, '[uwsgl]', 'processes = 3', '[shop]', 'processes = 4'],
    [['shop.ini', /^section \[uwsgl\] is not read \(did you mean \[uwsgi\]\?\)$/]],
  ],
  ['a section that is almost ours, and is asked for', [...BASE, 'ini = :uwsgi2', '[uwsgi2]', 'processes = 3'], []],
  [
    'another section than ours is asked for',
    [...BASE, '[shop]', 'ini = :shop-base', '[shop-base]', ...BASE],
    [],
    { iniPath: 'shop.ini:shop' },
  ],
  [
    'what looks like a comment behind a path',
    [...BASE, 'pidfile = /run/shop.pid ; ours'],
    [['shop.ini:4', /^pidfile: \/run\/shop.pid ; ours is the whole value: a comment stands on a line of its own$/]],
  ],
  ['a value that is said twice', [...BASE, 'processes = 2', 'workers = 2'], []],
  ['a flag instead of a line', [...BASE, 'processes = 2'], [], { args: ['processes=3'] }],
  ['open metrics', [...BASE, 'metrics = :9117'], [['shop.ini:4', /^metrics: everybody/]]],
  [
    'open metrics on a public listener',
    ['http=:1', 'app=app.js', 'metrics-path=/m'],
    [['shop.ini:4', /^metrics-path: every client/]],
  ],
  ['closed metrics', ['http=:1', 'app=app.js', 'metrics-path=/m', 'metrics=:2', 'metrics-auth=@(hash)'], []],
  [
    'what is said of an application that is not there',
    ['http=:1', 'static-map=/=public', 'mount=/a', 'wait-ready', 'args = -v'],
    [
      ['shop.ini:4', /^mount: counts for nothing without `app`/],
      ['shop.ini:5', /^wait-ready: counts for nothing/],
      ['shop.ini:6', /^args: counts for nothing/],
    ],
  ],
  [
    'variables that daimyo sets',
    [...BASE, 'env = A=1', 'env = DAIMYO_SLOT=4', 'env = DAIMYO_GENERATION='],
    [
      ['shop.ini:5', /^env: DAIMYO_SLOT changes nothing/],
      ['shop.ini:6', /^env: DAIMYO_GENERATION changes nothing/],
    ],
  ],
  [
    'the mode and owner of no socket',
    [...BASE, 'chmod-socket = 600', 'chown-socket = 33'],
    [
      ['shop.ini:4', /^chmod-socket: counts for nothing without a unix socket/],
      ['shop.ini:5', /^chown-socket: counts for nothing/],
    ],
  ],
  [
    'PROXY headers of nobody',
    [...BASE, 'http-enable-proxy-protocol = true'],
    [['shop.ini:4', /^http-enable-proxy-protocol: counts for nothing without `trusted-proxies`/]],
  ],
  ['PROXY headers', [...BASE, 'http-enable-proxy-protocol = true', 'trusted-proxies = unix'], []],
  [
    'auto-procname',
    [...BASE, 'auto-procname'],
    [['shop.ini:4', /^auto-procname: means nothing in Node: each process has/]],
  ],
  ['uid without root', [...BASE, 'uid=www-data'], [['shop.ini:4', /^uid: changes nothing/]]],
  ['root without uid', BASE, [['shop.ini', /^uid: not set: .* run as root/]], { uid: 0 }],
]
for (const [title, lines, expected, source] of remarks) {
  t.test(`remark: ${title}`, async t => {
    const reading = read(lines, source)
    t.same(reading.mistakes, [])
    t.same(
      reading.remarks.map(({ place }) => place),
      expected.map(([place]) => place),
      'places',
    )
    for (const [index, [, message]] of expected.entries()) t.match(reading.remarks[index]?.message, message)
  })
}

t.test('no secret is ever told', async t => {
  const secrets: [title: string, lines: string[], source?: Parameters<typeof read>[1]][] = [
    ['metrics-auth without hash', ['metrics-auth = prometheus:hunter2']],
    ['metrics-auth twice', [`metrics-auth = grafana:${HASH}`, `metrics-auth = prometheus:${HASH}`]],
    ['metrics-auth with a comment', [`metrics-auth = grafana:${HASH} ; the hash`]],
    ['a password in an upstream with a comment', ['http-to = /a=http://me:hunter2@a:1 ; the shop']],
    ['an environment variable', ['env = API_TOKEN=hunter2']],
    ['a wrong environment variable', ['env = 1X=hunter2']],
    ['a variable without name', ['env = hunter2']],
    ['a password in a URL', ['env = DATABASE_URL=postgres://u:hunter2@h/x']],
    ['by way of the environment', ['env = X=$(DB_PASSWORD)', 'processes = $(DB_PASSWORD)']],
    ['by way of a placeholder', ['db-password = hunter2', 'p = %(db-password)', 'env = X=%(p)', 'harakiri = %(p)']],
    ['by way of a condition', ['if-env = DB_PASSWORD', 'env = X=%(_)', 'listen = %(_)', 'endif']],
    [
      'by way of a file',
      ['env = X=@(secret/x)', 'processes = @(secret/x)'],
      { files: memoryFiles({ '/srv/secret/x': 'hunter2\n', '/srv/shop.ini': '' }) },
    ],
    ['an unknown option', ['db-pasword = hunter2']],
    ['a line outside of the sections', ['[', 'password = hunter2']],
    ['a flag', [], { args: ['metrics-auth=hunter2'] }],
  ]
  for (const [title, lines, source] of secrets) {
    const files = { ...FILES, '/srv/secret/x': 'hunter2\n', '/srv/shop.ini': ['[uwsgi]', ...BASE, ...lines].join('\n') }
    const reading = read([], { ...source, files: memoryFiles(files) })
    t.ok(reading.values?.length, title)
    const told = `${describeCheck(reading, 'shop.ini', true)}${JSON.stringify([reading.mistakes, reading.remarks, reading.values])}`
    t.notMatch(told.replaceAll(HASH, 'HASH'), 'hunter2', title)
    t.notMatch(told, HASH, title)
  }
})
