/** Tests of the kinds of values: what each accepts, how it prints it, and what it refuses. */

import t from 'tap'
import * as kind from '../../../../kit/options/kinds/option-kinds.js'

const CONTEXT = { cwd: '/start', chdir: '/srv/shop', cores: 4 }
const HASH = `scrypt$16384$8$5$${Buffer.alloc(16).toString('base64url')}$${Buffer.alloc(32).toString('base64url')}`

type Case = [text: string, value: unknown, printed: string] | [text: string, refused: null]

const cases: [name: string, kind: kind.Kind<unknown>, cases: Case[]][] = [
  [
    'whole number',
    kind.wholeNumber(1, 100),
    [
      ['1', 1, '1'],
      ['100', 100, '100'],
      ['007', 7, '7'],
      ['', null],
      ['0', null],
      ['101', null],
      ['-1', null],
      ['1.5', null],
      ['1e2', null],
      ['0x10', null],
      ['banana', null],
      ['9'.repeat(400), null],
    ],
  ],
  [
    'boolean',
    kind.boolean,
    [
      ...['', 'true', '1', 'yes', 'on', 'TRUE', 'On'].map((text): Case => [text, true, 'true']),
      ...['false', '0', 'no', 'off', 'No'].map((text): Case => [text, false, 'false']),
      ...['2', 'ture', 'y', 'constructor', 'true ; comment'].map((text): Case => [text, null]),
    ],
  ],
  [
    'time',
    kind.time(0, 3_600_000),
    [
      ['3', 3000, '3s'],
      ['0', 0, '0s'],
      ['1.5', 1500, '1500ms'],
      ['500ms', 500, '500ms'],
      ['10s', 10_000, '10s'],
      ['10 s', 10_000, '10s'],
      ['2m', 120_000, '120s'],
      ['1h', 3_600_000, '3600s'],
      ['61m', null],
      ['3 600', null],
      ['s', null],
      ['', null],
      ['-1', null],
      ['1d', null],
      ['1e3', null],
      ['Infinity', null],
    ],
  ],
  [
    'size',
    kind.size(1024, 1024 ** 2),
    [
      ['4096', 4096, '4k'],
      ['1500', 1500, '1500'],
      ['64k', 65_536, '64k'],
      ['64K', 65_536, '64k'],
      ['1m', 1_048_576, '1m'],
      ['1.5k', 1536, '1536'],
      ['1023', null],
      ['2m', null],
      ['64kb', null],
      ['k', null],
      ['', null],
    ],
  ],
  [
    'process count',
    kind.processCount(64),
    [
      ['1', 1, '1'],
      ['auto', 4, '4'],
      ['x', 4, '4'],
      ['2x', 8, '8'],
      ['2x+1', 9, '9'],
      ['2 * x + 1', 9, '9'],
      ['2X+1', 9, '9'],
      ['x-1', 3, '3'],
      ['x-4', null],
      ['16x+1', null],
      ['0', null],
      ['65', null],
      ['2x+', null],
      ['x*2', null],
      ['*x', null],
      ['2y+1', null],
      ['autos', null],
      ['', null],
    ],
  ],
  [
    'path from the start',
    kind.path('cwd'),
    [
      ['/a/b', '/a/b', '/a/b'],
      ['b', '/start/b', '/start/b'],
      ['../b', '/b', '/b'],
      ['a b', '/start/a b', '/start/a b'],
      ['', null],
    ],
  ],
  ['path from chdir', kind.path('chdir'), [['b', '/srv/shop/b', '/srv/shop/b']]],
  [
    'url path',
    kind.urlPath,
    [
      ['/', '/', '/'],
      ['/api', '/api', '/api'],
      ['/api/', '/api', '/api'],
      ['/a.b/..c', '/a.b/..c', '/a.b/..c'],
      ['', null],
      ['api', null],
      ['//', null],
      ['/a//b', null],
      ['/a/../b', null],
      ['/a/.', null],
      ['/a?b', null],
      ['/a#b', null],
      ['/a%2fb', null],
      ['/a b', null],
      ['/ä', null],
      ['/a\\b', null],
      ['/a=app.js', null],
    ],
  ],
  [
    'static map',
    kind.staticMap,
    [
      ['/=public', { mount: '/', folder: '/srv/shop/public' }, '/=/srv/shop/public'],
      ['/a/=/b', { mount: '/a', folder: '/b' }, '/a=/b'],
      ['/a=b=c', { mount: '/a', folder: '/srv/shop/b=c' }, '/a=/srv/shop/b=c'],
      ['/a', null],
      ['/a=', null],
      ['=b', null],
      ['a=b', null],
      ['/../a=b', null],
      ['', null],
    ],
  ],
  [
    'media types',
    kind.mediaTypes,
    [
      ['text/html', ['text/html'], 'text/html'],
      [' Text/*,  application/ld+json\t* ', ['text/*', 'application/ld+json', '*'], 'text/* application/ld+json *'],
      ['', null],
      ['html', null],
      ['text/html; charset=utf-8', null],
      ['*/html', null],
    ],
  ],
  [
    'error page',
    kind.errorPage,
    [
      ['404=a.html', { statuses: [404], file: '/srv/shop/a.html' }, '404=/srv/shop/a.html'],
      ['502, 503,504=/b=c', { statuses: [502, 503, 504], file: '/b=c' }, '502,503,504=/b=c'],
      ['a.html', null],
      ['404', null],
      ['404=', null],
      ['=a.html', null],
      ['4xx=a.html', null],
      ['399=a.html', null],
      ['600=a.html', null],
      ['404 410=a.html', null],
    ],
  ],
  [
    'address or off',
    kind.addressOrOff({ kind: 'tcp', host: '::1', port: 9 }),
    [
      ['127.0.0.1:9117', { kind: 'tcp', host: '127.0.0.1', port: 9117 }, '127.0.0.1:9117'],
      ['', { kind: 'tcp', host: '::1', port: 9 }, '[::1]:9'],
      ['on', { kind: 'tcp', host: '::1', port: 9 }, '[::1]:9'],
      ['9117', null],
    ],
  ],
  [
    'user and hash',
    kind.userAndHash,
    [
      [`prometheus:${HASH}`, `prometheus:${HASH}`, 'prometheus:***'],
      ['prometheus:secret', null],
      [HASH, null],
      [`:${HASH}`, null],
      [`a b:${HASH}`, null],
      ['', null],
    ],
  ],
  [
    'account',
    kind.account('user'),
    [
      ['www-data', 'www-data', 'www-data'],
      ['1000', '1000', '1000'],
      ['a.b_c$', 'a.b_c$', 'a.b_c$'],
      ['', null],
      ['a b', null],
      ['-1', null],
      ['root:root', null],
    ],
  ],
  [
    'environment variable',
    kind.environmentVariable,
    [
      ['NODE_ENV=production', { name: 'NODE_ENV', value: 'production' }, 'NODE_ENV=production'],
      ['A=', { name: 'A', value: '' }, 'A='],
      ['A=b=c', { name: 'A', value: 'b=c' }, 'A=b=c'],
      ['API_KEY=x', { name: 'API_KEY', value: 'x' }, 'API_KEY=***'],
      ['URL=a://b:c@d', { name: 'URL', value: 'a://b:c@d' }, 'URL=a://b:***@d'],
      ['A', null],
      ['=b', null],
      ['1A=b', null],
      ['A =b', null],
      ['', null],
    ],
  ],
]

for (const [name, tested, list] of cases) {
  t.test(name, async t => {
    for (const [text, value, printed] of list) {
      const parsed = tested.parse(text, CONTEXT)
      if (value === null) t.equal(parsed.ok, false, `refuses ${text.slice(0, 40) || 'nothing'}`)
      else t.same(parsed, { ok: true, value }, `accepts ${text || 'nothing'}`)
      if (parsed.ok) t.equal(tested.print(parsed.value), printed)
    }
  })
}

t.test('metrics can be turned off', async t => {
  const metrics = kind.addressOrOff({ kind: 'tcp', host: '::1', port: 9 })
  t.same(metrics.parse('false', CONTEXT), { ok: true, value: null })
  t.equal(metrics.print(null), 'false')
})

t.test('a refused secret is hidden in messages', async t => {
  t.equal(kind.userAndHash.hide?.('prometheus:secret'), '***')
  t.equal(kind.environmentVariable.hide?.('1A=secret'), '1A=***')
  t.equal(kind.environmentVariable.hide?.('secret'), 'a text without `=`')
})

t.test('hints at what was meant', async t => {
  t.same(kind.boolean.parse('ture', CONTEXT), { ok: false, hint: 'true' })
  t.same(kind.address.parse('8080', CONTEXT), { ok: false, hint: ':8080' })
  t.same(kind.address.parse('fd://web', CONTEXT), { ok: true, value: { kind: 'passed', name: 'web' } })
  t.same(kind.peerAddress.parse('fd://web', CONTEXT), { ok: false, hint: null }, 'nobody connects to that')
  t.same(kind.peerAddress.parse(':80', CONTEXT), { ok: true, value: { kind: 'tcp', host: '0.0.0.0', port: 80 } })
  t.same(kind.peerAddress.parse('80', CONTEXT), { ok: false, hint: ':80' })
  t.same(kind.urlPath.parse('api', CONTEXT), { ok: false, hint: '/api' })
  t.same(kind.processCount(64).parse('atuo', CONTEXT), { ok: false, hint: 'auto' })
})
