/** Tests of `%(key)`, `$(VARIABLE)` and `@(file)`: values, arithmetic, bounds, and data that must stay data. */

import t from 'tap'
import { expand, shield } from '../../../../supervisor/config/ini/placeholders.js'

const KEYS: Record<string, string> = {
  name: 'shop',
  base: '/srv/%(name)',
  two: '2',
  three: '3',
  word: 'x',
  self: '%(self)',
  ping: '%(pong)',
  pong: '%(ping)',
  'db-password': 'hunter2',
  hidden: '%(db-password)',
  shielded: shield('%(name)'),
  laugh0: 'ha',
  ...Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`laugh${n + 1}`, `%(laugh${n})`.repeat(10)])),
  ...Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`deep${n}`, `%(deep${n + 1})`])),
  deep60: 'bottom',
  wide: 'w'.repeat(60_000),
}
const ENVIRONMENT: Record<string, string> = {
  HOME: '/home/site',
  EMPTY: '',
  TRAP: '%(name) $(HOME) @(f)',
  LINES: 'a\nb',
}
const FILES: Record<string, string> = { f: 'text\n', crlf: 'text\r\n', lines: 'a\nb\n', trap: '%(name)\n', empty: '' }

const CONTEXT = {
  environment: ENVIRONMENT,
  firstValue: (key: string): string | undefined => (Object.hasOwn(KEYS, key) ? KEYS[key] : undefined),
  read(path: string) {
    const text = Object.hasOwn(FILES, path) ? FILES[path] : undefined
    return text === undefined ? { ok: false as const, why: 'no such file' } : { ok: true as const, text }
  },
}

const accepted: [text: string, expected: string][] = [
  ['plain $HOME 100 a@b (x)', 'plain $HOME 100 a@b (x)'],
  ['%(name)-x', 'shop-x'],
  ['%(base)/%(base)', '/srv/shop//srv/shop'],
  ['%(two three + 2)', '25'],
  ['%(two + three)', '5'],
  ['%(two - three)', '-1'],
  ['%(three * three)', '9'],
  ['%(10 / three)', '3'],
  ['%(two / 0)', '0'],
  ['%(two ++)', '3'],
  ['%(two --)', '1'],
  ['%(word + 1)', '1'],
  ['%(two word three)', '2x3'],
  ['$(HOME)/x', '/home/site/x'],
  ['[$(EMPTY)]', '[]'],
  ['@(f)', 'text'],
  ['@(crlf)', 'text'],
  ['[@(empty)]', '[]'],
  ['$(TRAP)', '%(name) $(HOME) @(f)'],
  ['@(trap)', '%(name)'],
  [`${shield('%(name) $(HOME)')} %(shielded)`, '%(name) $(HOME) %(name)'],
]
for (const [text, expected] of accepted) {
  t.test(`${text}`, async t => {
    const { text: expanded, problems } = expand(text, CONTEXT)
    t.same(problems, [])
    t.equal(expanded, expected)
  })
}

const refused: [text: string, problem: RegExp][] = [
  ['%(nosuch)', /no key nosuch for the placeholder `%\(nosuch\)`/],
  ['%(two nosuch + 1)', /no key nosuch/],
  ['%(__proto__)', /no key __proto__/],
  ['%()', /names no key/],
  ['%(_)', /only between/],
  ['a %(name', /`%\(` is not closed/],
  ['a $(HOME', /`\$\(` is not closed/],
  ['%(self)', /in a circle: self → self/],
  ['%(ping)', /in a circle: ping → pong → ping/],
  ['%(deep0)', /deeper than 32/],
  ['%(laugh12)', /more than 1000 replacements|longer than/],
  ['%(wide)%(wide)', /longer than 65536/],
  ['$(NOSUCH)', /the environment has no variable NOSUCH/],
  ['$(__proto__)', /the environment has no variable __proto__/],
  ['$(toString)', /the environment has no variable toString/],
  ['$(LINES)', /variable LINES has more than one line/],
  ['@(nosuch)', /@\(nosuch\): no such file/],
  ['@(lines)', /more than one line/],
  ['@(exec://id)', /only files are read/],
  ['@(http://127.0.0.1/)', /only files are read/],
]
for (const [text, problem] of refused) {
  t.test(`refuses ${text}`, async t => t.match(expand(text, CONTEXT).problems, [problem]))
}

t.test('knows which texts are secret', async t => {
  const cases: [text: string, isSecret: boolean][] = [
    ['%(db-password)', true],
    ['%(hidden)', true],
    ['$(API_TOKEN)', true],
    ['@(/run/secrets/x)', true],
    ['%(name) $(HOME) @(f)', false],
  ]
  for (const [text, isSecret] of cases) t.equal(expand(text, CONTEXT).isSecret, isSecret, text)
})

t.test('many problems are few lines', async t => {
  t.ok(expand(Array.from({ length: 50 }, (_, n) => `%(no${n})`).join(''), CONTEXT).problems.length <= 5)
})
