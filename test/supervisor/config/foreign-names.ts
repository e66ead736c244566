/** Tests of the words of other servers: what they are here, and that no word of ours is taken for one. */

import t from 'tap'
import { acceptedKeys, optionNames, rowOf } from '../../../kit/options/options.js'
import { foreignName, whatIsMeant } from '../../../supervisor/config/foreign-names.js'

const cases: [title: string, word: string, expected: ReturnType<typeof foreignName>][] = [
  ['one option', 'instances', { servers: ['pm2'], options: ['processes'], instead: '' }],
  ['two options', 'proxy_pass', { servers: ['nginx'], options: ['app', 'http-to'], instead: '' }],
  ['two servers', 'user', { servers: ['nginx', 'gunicorn'], options: ['uid', 'gid'], instead: '' }],
  ['- for _', 'keepalive-timeout', { servers: ['nginx'], options: ['http-keepalive'], instead: '' }],
  ['what stands behind a directive', 'alias', { servers: ['nginx'], options: ['static-map'], instead: '' }],
  [
    'three at most',
    'upstream',
    { servers: ['nginx'], options: ['http-to', 'http-max-fails', 'http-gracetime'], instead: '' },
  ],
  ['nothing known', 'banana', null],
  ['nothing', '', null],
  ['what every object has', 'constructor', null],
]
for (const [title, word, expected] of cases) t.test(title, async t => t.same(foreignName(word), expected))

t.test('words without an option say what is done instead', async t => {
  const words: [word: string, server: string, instead: RegExp][] = [
    ['log-format', 'uwsgi', /The log/],
    ['log_format', 'nginx', /The log/],
    ['add-header', 'uwsgi', /application/],
    ['server_name', 'nginx', /INI of its own/],
    ['certfile', 'gunicorn', /TLS/],
  ]
  for (const [word, server, instead] of words) {
    t.match(foreignName(word), { servers: [server], options: [], instead }, word)
  }
})

t.test('the table names words, with commas between', async t => {
  for (const name of optionNames()) {
    for (const [server, names] of Object.entries(rowOf(name).replaces ?? {})) {
      for (const item of names.split(', ')) t.match(item, /^(…|[\w{-])/, `${name}: ${server}: ${item}`)
    }
  }
})

t.test('the end of a message', async t => {
  const ends: [word: string, expected: string][] = [
    ['max_requests', ' (did you mean `max-requests`?)'],
    ['proceses', ' (did you mean `processes`?)'],
    ['proces', ' (did you mean `processes`?)'],
    ['script', ' (PM2’s `script` is here `app`)'],
    ['ssl', ' (nginx’s `ssl`: TLS is not served here: put a server that does in front)'],
    ['banana', ''],
  ]
  for (const [word, expected] of ends) t.equal(whatIsMeant(word, acceptedKeys()), expected, word)
  t.equal(
    whatIsMeant('bind', acceptedKeys(), name => `--${name}`),
    ' (Gunicorn’s `bind` is here `--http`)',
  )
})
