/** Lists of foreign servers. */

import t from 'tap'
import {
  hideUserinfo,
  MOST_UPSTREAMS,
  parseUpstreams,
  printUpstream,
} from '../../../../kit/options/values/upstream-list.js'

t.test('reads and prints', async t => {
  const cases: [text: string, expected: unknown[], printed?: string][] = [
    ['http://127.0.0.1:9000', [{ host: '127.0.0.1', port: 9000 }]],
    ['http://app.example:80', [{ host: 'app.example', port: 80 }]],
    ['http://app.example', [{ host: 'app.example', port: 80 }], 'http://app.example:80'],
    ['http://[::1]:9000', [{ host: '::1', port: 9000 }]],
    ['http://unix:/run/x.sock:', [{ path: '/run/x.sock' }]],
    ['http://unix:/run/x.sock', [{ path: '/run/x.sock' }], 'http://unix:/run/x.sock:'],
    ['HTTP://a:1,http://unix:/x:', [{ host: 'a', port: 1 }, { path: '/x' }], 'http://a:1,http://unix:/x:'],
  ]
  for (const [text, expected, printed = text] of cases) {
    const parsed = parseUpstreams(text)
    t.same(parsed, { ok: true, value: expected }, text)
    t.equal(parsed.ok && parsed.value.map(printUpstream).join(','), printed, text)
  }
})

t.test('refuses', async t => {
  const cases: [text: string, hint?: string][] = [
    [''],
    [','],
    ['http://'],
    ['http://a:1,'],
    ['a:1', 'http://a:1'],
    ['a:1,http://b:2', 'http://a:1,http://b:2'],
    ['/run/x.sock', 'http://unix:/run/x.sock'],
    ['http://a:1/', 'http://a:1'],
    ['http://a:1/path'],
    ['http://a:1?q'],
    ['http://a:1#f'],
    ['http://a:0'],
    ['http://a:65536'],
    ['http://a:x'],
    ['http://:1'],
    ['http://*:1'],
    ['http://256.1.1.1:1'],
    ['http://[::1:1'],
    ['http://::1:1'],
    ['http://a b:1'],
    ['http://user@a:1'],
    ['http://user:secret@a:1'],
    ['https://a:1'],
    ['ws://a:1'],
    ['http://unix:x.sock:'],
    ['http://unix:/run/x.sock:/uri'],
    ['http://unix:/run/', 'http://unix:/run'],
    [`http://unix:/${'x'.repeat(200)}`],
    ['http://a:1,http://a:1', 'http://a:1'],
    [Array.from({ length: MOST_UPSTREAMS + 1 }, (_, index) => `http://a:${index + 1}`).join(',')],
  ]
  for (const [text, hint = null] of cases) t.same(parseUpstreams(text), { ok: false, hint }, text)
})

t.test('shows nobody’s password', async t => {
  const cases = [
    '/m=http://user:secret@a:1',
    '/m=http://u:p/secret@a',
    '/m=http://a:1,http://u:secret@b',
    'u:secret@a',
    '/m=u:secret=x@a',
    'u:x=secret@a',
  ]
  for (const text of cases) {
    t.notMatch(hideUserinfo(text), /secret/, text)
    t.match(hideUserinfo(text), /\*\*\*@/, text)
  }
  t.equal(hideUserinfo('/m=http://a:1/x'), '/m=http://a:1/x')
})
