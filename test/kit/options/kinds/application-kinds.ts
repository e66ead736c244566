/** Tests `kit/options/kinds/application-kinds.ts`. */

import t from 'tap'
import { appPort, words } from '../../../../kit/options/kinds/application-kinds.js'

const context = { cwd: '/', chdir: '/', cores: 1 }

const ports: [text: string, value: string | null, hint?: string][] = [
  ['3000', '3000'],
  ['0', '0'],
  ['65535', '65535'],
  ['03000', '3000'],
  ['/run/site.sock', '/run/site.sock'],
  ['./site.sock', './site.sock'],
  ['65536', null],
  ['localhost:3000', null, '3000'],
  [':3000', null, '3000'],
  ['http', null],
  ['', null],
]
t.test('app-port', async t => {
  for (const [text, value, hint = null] of ports)
    t.same(appPort.parse(text, context), value === null ? { ok: false, hint } : { ok: true, value }, text)
})

const lines: [text: string, value: string[] | null, printed?: string][] = [
  ['start', ['start']],
  ['  start   -p 3000 ', ['start', '-p', '3000'], 'start -p 3000'],
  ['--title "My shop" x', ['--title', 'My shop', 'x']],
  ['--title \'My "shop"\'', ['--title', 'My "shop"']],
  ['""', ['']],
  ['$HOME *.js', ['$HOME', '*.js']],
  ['', null],
  ['   ', null],
  ['"open', null],
  ['a"b"', null],
  ['"a"b', null],
]
t.test('args', async t => {
  for (const [text, value, printed = text] of lines) {
    const parsed = words.parse(text, context)
    t.same(parsed, value === null ? { ok: false, hint: null } : { ok: true, value }, text)
    if (parsed.ok) t.equal(words.print(parsed.value), printed, `${text}, printed`)
  }
})
