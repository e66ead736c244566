/** `Expires`, `Cache-Control`, and which names contain a hash. */

import t from 'tap'
import type { ExpiresRule } from '../../kit/messages.js'
import { FreshnessRules, freshnessFields, isHashedName } from '../../proxy/static-freshness.js'

const SUBJECT = {
  type: 'text/css',
  file: '/srv/www/site.css',
  path: '/assets/site.css',
  uri: '/assets/site.css?v=12',
  modifiedMs: 5000,
}
const rule = (by: ExpiresRule['by'], pattern: string, seconds: number, from: ExpiresRule['from'] = 'now') => ({
  by,
  pattern,
  seconds,
  from,
})

t.test('the first rule that fits', async t => {
  const cases: [title: string, rules: ExpiresRule[], seconds: number | null, fromMs?: number][] = [
    ['none', [], null],
    ['a type', [rule('type', 'text/css', 1)], 1],
    ['a type in capitals', [rule('type', 'TEXT/CSS', 1)], 1],
    ['a type is not a pattern', [rule('type', 'text.css', 1)], null],
    ['a part of a type', [rule('type', 'text/c', 1)], null],
    ['a file', [rule('file', '^/srv/.*\\.css$', 2)], 2],
    ['a path', [rule('path', '^/assets/', 3)], 3],
    ['the path is not the file', [rule('path', '^/srv/', 3)], null],
    ['a URI', [rule('uri', '[?]v=\\d+$', 4)], 4],
    ['the query is no part of the path', [rule('path', 'v=', 4)], null],
    ['the first of several', [rule('uri', 'x', 1), rule('path', 'site', 2), rule('type', 'text/css', 3)], 2],
    ['from the time of modification', [rule('type', 'text/css', 1, 'modified')], 1, 5000],
  ]
  for (const [title, expires, seconds, fromMs = null] of cases) {
    const expected = seconds === null ? null : { seconds, fromMs, immutable: false }
    t.same(new FreshnessRules({ expires, immutable: false }).of(SUBJECT), expected, title)
  }
  t.equal(new FreshnessRules({ expires: [rule('path', 'a', 1)], immutable: true }).dependOnUri, false)
  t.equal(new FreshnessRules({ expires: [rule('uri', 'a', 1)], immutable: true }).dependOnUri, true)
})

t.test('as header fields', async t => {
  const at = (seconds: number, fromMs: number | null, immutable = false) =>
    Object.fromEntries(freshnessFields({ seconds, fromMs, immutable }, 100_000))
  t.same(freshnessFields(null, 0), [])
  t.same(at(60, null), { Expires: 'Thu, 01 Jan 1970 00:02:40 GMT', 'Cache-Control': 'max-age=60' })
  t.same(at(60, 90_000), { Expires: 'Thu, 01 Jan 1970 00:02:30 GMT', 'Cache-Control': 'max-age=50' })
  t.same(at(60, 0), { Expires: 'Thu, 01 Jan 1970 00:01:00 GMT', 'Cache-Control': 'max-age=0' }, 'over already')
  t.match(at(60, null, true), { 'Cache-Control': 'max-age=60, immutable' })
})

t.test('hashes in names', async t => {
  const cases: [name: string, expected: boolean][] = [
    ['app.3f9c2a1b.js', true],
    ['app-3f9c2a1b.js', true],
    ['app.3f9c2a1b.chunk.js', true],
    ['app.3f9c2a1b.js.map', true],
    ['main.d41d8cd98f00b204e980.css', true],
    ['index-BX8z9d2a.js', true],
    ['chunk-QW5ZABC2.js', true],
    ['logo.min-3f9c2a1b.svg', true],
    ['3f9c2a1b.js', false],
    ['app-3f9c2a1.js', false],
    ['app.js', false],
    ['jquery-3.7.1.min.js', false],
    ['report-20261125.pdf', false],
    ['report-deadbeef.pdf', false],
    ['scan-12345678.png', false],
    ['photo-Winter25.jpg', false],
    ['react-DatePicker2.js', false],
    ['bundle-production.js', false],
    ['app-3f9c2a1b', false],
    ['.3f9c2a1b.js', false],
    [`app.${'a1'.repeat(33)}.js`, false],
  ]
  for (const [name, expected] of cases) t.equal(isHashedName(`/srv/app.3f9c2a1b/${name}`), expected, name)
  const rules = new FreshnessRules({ expires: [rule('type', 'text/css', 1)], immutable: true })
  t.match(rules.of({ ...SUBJECT, file: '/a-3f9c2a1b.css' }), { seconds: 31_536_000, immutable: true })
  t.match(rules.of(SUBJECT), { seconds: 1, immutable: false })
})
