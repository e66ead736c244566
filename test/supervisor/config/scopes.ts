/** Sections that narrow options to a place: `[location:/path]`. */

import t from 'tap'
import { optionNames, rowOf } from '../../../kit/options/options.js'
import { meansTheSame } from '../../../supervisor/config/changed-options.js'
import { describeCheck } from '../../../supervisor/help/describe-check.js'
import { BASE, read } from './fixtures/reading.js'

t.test('sections of one place add up, the last line counts, and each place is its own', async t => {
  const { settings, mistakes, remarks } = read([
    ...BASE,
    'harakiri = 30',
    '[location:/reports]',
    'harakiri = 300',
    'limit-post = 1m',
    '[location:/upload/]',
    'limit-post = 2g',
    '[location:/reports]',
    'harakiri = 600',
    '[location:/]',
    'limit-post = 10m',
    '[location:/empty]',
  ])
  t.same(mistakes, [])
  t.match(remarks, [{ place: 'shop.ini:6', message: /^harakiri: 300s does not count: shop.ini:11 says 600s$/ }])
  t.same(settings?.locations, [
    { prefix: '/reports', settings: { harakiriMs: 600_000, limitPostBytes: 1024 ** 2 } },
    { prefix: '/upload', settings: { limitPostBytes: 2 * 1024 ** 3 } },
    { prefix: '/', settings: { limitPostBytes: 10 * 1024 ** 2 } },
  ])
  t.match(settings, { harakiriMs: 30_000, limitPostBytes: 0 })
})

const mistakes: [title: string, lines: string[], place: string, message: RegExp][] = [
  [
    'a kind that is almost one',
    ['[loction:/x]', 'harakiri = 5'],
    'shop.ini:5',
    /^section \[loction:\/x\]: unknown kind: received loction \(did you mean `\[location:\/x\]`\?\)$/,
  ],
  ['in capitals', ['[Location:/x]', 'harakiri = 5'], 'shop.ini:5', /did you mean `\[location:\/x\]`/],
  [
    'no path',
    ['[location]', 'harakiri = 5'],
    'shop.ini:5',
    /^section \[location\]: received no path: accepted `\[location:PATH\]` with a URL path/,
  ],
  ['a path that is none', ['[location:x/../y]', 'harakiri = 5'], 'shop.ini:5', /received x\/\.\.\/y: accepted/],
  [
    'an option of the whole service',
    ['[location:/x]', 'processes = 5'],
    'shop.ini:5',
    /^processes: holds for the whole service, not for \[location:\/x\]: accepted in \[uwsgi\]; here .*`harakiri`.*`limit-post`/,
  ],
  [
    'a misspelt option',
    ['[location:/x]', 'harakri = 5'],
    'shop.ini:5',
    /^unknown option: received harakri: .*harakiri/,
  ],
  ['a wrong value', ['[location:/x]', 'harakiri = soon'], 'shop.ini:5', /^harakiri: received soon: accepted seconds/],
]
for (const [title, lines, place, message] of mistakes) {
  t.test(`refused: ${title}`, async t => {
    const { settings, mistakes } = read([...BASE, ...lines])
    t.equal(settings, null)
    t.match(mistakes, [{ place, message }])
    t.equal(mistakes.length, 1)
  })
}

t.test('sections of other programs are not read', async t => {
  const { mistakes, settings } = read([
    ...BASE,
    '[app:main]',
    'use = egg:shop',
    '[loggers]',
    'keys = root',
    '[local:x]',
    'a = b',
  ])
  t.same(mistakes, [])
  t.same(settings?.locations, [])
})

t.test('a section that the command names is read as it is', async t => {
  const { mistakes } = read(['x = 1', '[location:/x]', 'harakiri = 5'], { iniPath: 'shop.ini:location:/x' })
  t.match(mistakes, [{ message: /cannot read|not found/ }])
})

t.test('placeholders: those of a place are everywhere, its options nowhere else', async t => {
  const lines = [...BASE, 'harakiri = %(patience)', '[location:/x]', 'set-placeholder = patience=7', 'harakiri = 9']
  t.match(read(lines).settings, { harakiriMs: 7000, locations: [{ settings: { harakiriMs: 9000 } }] })
  const { mistakes } = read([...BASE, 'limit-post = %(harakiri)', '[location:/x]', 'harakiri = 9'])
  t.match(mistakes, [{ message: /^limit-post: .*harakiri/ }])
})

t.test('a block, an include, and a flag that goes before the file', async t => {
  const lines = [
    ...BASE,
    '[location:/x]',
    'if-env = HOME',
    'harakiri = 9',
    'endif',
    'ini = :more',
    '[more]',
    'limit-post = 5',
  ]
  t.match(read(lines, { args: ['harakiri=3'] }).settings, {
    harakiriMs: 3000,
    limitPostBytes: 0,
    locations: [{ prefix: '/x', settings: { harakiriMs: 9000, limitPostBytes: 5 } }],
  })
})

t.test('check shows the values of a place', async t => {
  const reading = read([...BASE, '[location:/x]', 'harakiri = 9'])
  t.match(describeCheck(reading, 'shop.ini', false), /^ {2}\[location:\/x\] harakiri = 9s +; shop\.ini:5$/m)
})

t.test('a change in a place is a change', async t => {
  const settingsOf = (lines: string[]) => {
    const { settings } = read([...BASE, ...lines])
    if (settings === null) throw new Error('mistakes')
    return settings
  }
  const before = settingsOf(['[location:/x]', 'harakiri = 9'])
  t.ok(meansTheSame(before, settingsOf(['[location:/x]', 'harakiri = 9s'])))
  t.notOk(meansTheSame(before, settingsOf(['[location:/x]', 'harakiri = 10'])))
  t.notOk(meansTheSame(before, settingsOf([])))
})

t.test('what may stand in a place is for proxies, and changes at once', async t => {
  for (const name of optionNames()) {
    const { scopes, takesEffect, neededBy, setting } = rowOf(name)
    if (scopes === undefined) continue
    t.equal(takesEffect, 'live', name)
    t.ok(neededBy.includes('proxy'), name)
    t.not(setting, null, name)
  }
})
