/** Tests of the option table itself: every row holds what the help, the reference and the reader take from it. */

import t from 'tap'
import { acceptedKeys, isOptionKey, optionNamed, optionNames, rowOf } from '../../../kit/options/options.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from '../../../kit/options/words/ignored-options.js'
import { BLOCK_ENDS, BLOCK_OPENERS } from '../../../supervisor/config/ini/ini-blocks.js'
import { INCLUDES, SETTERS } from '../../../supervisor/config/ini/ini-reader.js'

const CONTEXT = { cwd: '/start', chdir: '/start', cores: 2 }

t.test('each row reads its own default and example', async t => {
  for (const name of optionNames()) {
    const { kind, default: otherwise, example, summary } = rowOf(name)
    if (otherwise !== null) t.equal(kind.parse(otherwise, CONTEXT).ok, true, `default of ${name}`)
    const [, key, value = ''] = /^([\w-]+) = (.+)$/.exec(example) ?? []
    t.equal(key, name, `example of ${name} is a line of it`)
    if (!/[@%]/.test(value)) t.equal(kind.parse(value, CONTEXT).ok, true, `example of ${name}`)
    t.match(summary, /\.$/, `summary of ${name} is a sentence`)
  }
})

t.test('no key has two meanings', async t => {
  const directives = [...BLOCK_ENDS, ...BLOCK_OPENERS, ...INCLUDES, ...SETTERS, 'else']
  const keys = [...acceptedKeys(), ...Object.keys(REFUSED_OPTIONS), ...directives]
  t.same(
    keys.filter((key, index) => keys.indexOf(key) !== index),
    [],
  )
})

t.test('aliases of uWSGI lead to their option', async t => {
  const cases: [key: string, expected: string | null][] = [
    ['workers', 'processes'],
    ['module', 'app'],
    ['wsgi-file', 'app'],
    ['file', 'app'],
    ['http-socket', 'http'],
    ['processes', 'processes'],
    ['Processes', null],
    ['__proto__', null],
    ['constructor', null],
    ['', null],
  ]
  for (const [key, expected] of cases) t.equal(optionNamed(key), expected, key)
})

t.test('all options that the product promises are known', async t => {
  const promised =
    'master processes workers app module wsgi-file http http-socket http-processes static-map check-static mount harakiri ' +
    'worker-reload-mercy reload-mercy lazy-apps max-requests chdir env uid gid pidfile logto vacuum die-on-term buffer-size ' +
    'post-buffering listen metrics metrics-auth metrics-path ' +
    'enable-threads single-interpreter virtualenv plugins thunder-lock ' +
    'worker-start-timeout worker-connections http-queue http-queue-timeout http-header-timeout http-keepalive' +
    ' disable-logging run-dir limit-post http-connections http-connections-per-address http-header-count http-uri-size' +
    ' http-body-timeout http-body-min-rate http-send-timeout http-keepalive-requests ' +
    'static-map2 static-index static-skip-ext static-safe static-fallback asset-grace static-precompressed static-gzip-all ' +
    'static-immutable static-expires static-expires-mtime static-expires-type static-expires-type-mtime static-expires-uri ' +
    'static-expires-uri-mtime static-expires-path-info static-expires-path-info-mtime static-cache-size'
  for (const key of promised.split(' ')) t.equal(isOptionKey(key), true, key)
  for (const key of ['enable-threads', 'single-interpreter', 'virtualenv', 'plugins', 'thunder-lock']) {
    t.ok(IGNORED_OPTIONS[key]?.why, key)
  }
  for (const key of ['constructor', '__proto__', 'toString', 'banana']) t.equal(isOptionKey(key), false, key)
})
