/** The values of the static options: read, refused, printed. */

import t from 'tap'
import type { Kind } from '../../../../kit/options/kinds/option-kinds.js'
import * as kind from '../../../../kit/options/kinds/static-kinds.js'

type Case = [text: string, value: unknown, printed?: string]

const CONTEXT = { cwd: '/srv', chdir: '/srv', cores: 2 }

const KINDS: [title: string, kind: Kind<never>, cases: Case[]][] = [
  [
    'file name',
    kind.fileName as Kind<never>,
    [
      ['index.html', 'index.html', 'index.html'],
      ['', null],
      ['.env', null],
      ['a/b', null],
      ['..', null],
    ],
  ],
  [
    'ending',
    kind.nameEnding as Kind<never>,
    [
      ['.php', '.php', '.php'],
      ['~', '~', '~'],
      ['', null],
      ['/x', null],
    ],
  ],
  [
    'coding',
    kind.siblingCoding as Kind<never>,
    [
      ['br', 'br', 'br'],
      ['zst', 'zstd', 'zst'],
      ['GZ', 'gzip', 'gz'],
      ['deflate', null],
      ['constructor', null],
      ['', null],
    ],
  ],
  [
    'fallback',
    kind.fallback as Kind<never>,
    [
      ['/=index.html', { mount: '/', path: '/index.html' }, '/=index.html'],
      ['/=/index.html', { mount: '/', path: '/index.html' }, '/=index.html'],
      ['/admin/=app/start.html', { mount: '/admin', path: '/admin/app/start.html' }, '/admin=app/start.html'],
      ['/=', null],
      ['=index.html', null],
      ['index.html', null],
      ['/=../secret', null],
      ['admin=index.html', null],
    ],
  ],
  [
    'type and seconds',
    kind.typeExpires as Kind<never>,
    [
      ['text/css=3600', { pattern: 'text/css', seconds: 3600 }, 'text/css=3600'],
      ['image/svg+xml=0', { pattern: 'image/svg+xml', seconds: 0 }, 'image/svg+xml=0'],
      ['text=1', null],
      ['text/css', null],
      ['text/css=-1', null],
      ['text/css 3600', null],
    ],
  ],
  [
    'pattern and seconds',
    kind.patternExpires as Kind<never>,
    [
      ['\\.css$ 3600', { pattern: '\\.css$', seconds: 3600 }, '\\.css$ 3600'],
      ['a b  60', { pattern: 'a b', seconds: 60 }, 'a b 60'],
      ['^/x=60', { pattern: '^/x', seconds: 60 }, '^/x 60'],
      ['v=\\d+=60', { pattern: 'v=\\d+', seconds: 60 }, 'v=\\d+ 60'],
      ['( 60', null],
      ['/* 7776000', { pattern: '/*', seconds: 7_776_000 }, '/* 7776000'],
      ['.css', null],
      ['.css 1h', null],
      [' 60', null],
      ['', null],
    ],
  ],
]

for (const [title, kind, cases] of KINDS) {
  t.test(title, async t => {
    for (const [text, expected, printed] of cases) {
      const parsed = kind.parse(text, CONTEXT)
      t.same(parsed.ok ? parsed.value : null, expected, JSON.stringify(text))
      if (parsed.ok) t.equal(kind.print(parsed.value), printed, `${text}: printed`)
    }
  })
}
