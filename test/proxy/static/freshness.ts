/** `Expires`, `Cache-Control`, and which names contain a hash. */

import t from 'tap'
import type { ExpiresRule } from '../../../kit/options/values/value-types.js'
import { FreshnessRules, freshnessFields, isHashedName, isOfBuild } from '../../../proxy/static/freshness.js'

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
  for (const [title, staticExpires, seconds, fromMs = null] of cases) {
    const expected = seconds === null ? null : { seconds, fromMs, immutable: false }
    t.same(new FreshnessRules({ staticExpires, staticImmutable: false }).of(SUBJECT), expected, title)
  }
  t.equal(new FreshnessRules({ staticExpires: [rule('path', 'a', 1)], staticImmutable: true }).dependOnUri, false)
  t.equal(new FreshnessRules({ staticExpires: [rule('uri', 'a', 1)], staticImmutable: true }).dependOnUri, true)
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
  const built: [path: string, expected: boolean][] = [
    ['/_next/static/chunks/main-app-2c2f3ac1d7f4a0d1.js', true],
    ['/_next/static/css/5ab0b1f1b1e2f3a4.css', true],
    ['/_next/static/media/4cf2300e9c8272f7-s.p.woff2', true],
    ['/_next/static/Yx3kQ0b1uVd2_nEe-4Rsa/_buildManifest.js', true],
    ['/_next/static/chunks/[root-of-the-server]__0a1b2c3d._.js', true],
    ['/shop/_next/static/chunks/webpack.js', true],
    ['/_app/immutable/nodes/0.js', true],
    ['/_next/static/development/_buildManifest.js', false],
    ['/_next/static/webpack/633457081244afec._.hot-update.json', false],
    ['/_next/static/', false],
    ['/_next/image', false],
    ['/_next/data/Yx3kQ0b1/index.json', false],
    ['/_app/version.json', false],
    ['/x_next/static/a.js', false],
    ['/static/chunks/a.js', false],
  ]
  for (const [path, expected] of built) t.equal(isOfBuild({ path, file: `/srv/.next${path}` }), expected, path)
  t.ok(isOfBuild({ path: '/_next/static/css/a.css', file: '/srv/site/.next/static/css/a.css' }))
  t.notOk(isOfBuild({ path: '/_next/static/css/gone.css', file: '/srv/site/index.html' }), 'a fallback')
  const rules = new FreshnessRules({ staticExpires: [rule('type', 'text/css', 1)], staticImmutable: true })
  const next = { ...SUBJECT, path: '/_next/static/css/a.css', file: '/srv/.next/static/css/a.css' }
  t.match(rules.of(next), { seconds: 31_536_000, immutable: true })
  t.equal(new FreshnessRules({ staticExpires: [], staticImmutable: false }).of(next), null)
  t.match(rules.of({ ...SUBJECT, file: '/a-3f9c2a1b.css' }), { seconds: 31_536_000, immutable: true })
  t.match(rules.of(SUBJECT), { seconds: 1, immutable: false })
})
