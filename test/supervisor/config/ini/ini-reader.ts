/**
 * Tests of reading whole INIs: sections, includes, placeholders that are set, blocks, and everything that is refused.
 */

import t from 'tap'
import { fileNamed, readIni } from '../../../../supervisor/config/ini/ini-reader.js'
import { memoryFiles } from '../fixtures/memory-files.js'

const ENVIRONMENT = { HOME: '/home/site', MODE: 'prod', API_TOKEN: '%(x)' }
const OTHERS = {
  '/start/inc.ini': '[uwsgi]\ni = %n %N %x\n[blue]\nb = %x',
  '/start/loop.ini': '[uwsgi]\nini = main.ini',
  '/start/words': 'one\r\n\ntwo\n',
  '/start/folder/': '',
  '/start/fan.ini': `[uwsgi]\n${Array.from({ length: 20 }, (_, n) => `ini = :s${n}`).join('\n')}\n${Array.from(
    { length: 20 },
    (_, n) => `[s${n}]\n${Array.from({ length: 20 }, (_, m) => (m === n ? '' : `ini = :t${m}`)).join('\n')}\n[t${n}]`,
  ).join('\n')}`,
  ...Object.fromEntries(
    Array.from({ length: 30 }, (_, n) => [`/start/deep${n}.ini`, `[uwsgi]\nini = deep${n + 1}.ini`]),
  ),
}

function read(text: string, name = 'main.ini', flags: Record<string, string> = {}): ReturnType<typeof readIni> {
  return readIni(name, {
    facts: { cwd: '/start', hostname: 'box', uid: 0, gid: 0, user: 'root', group: 'root', cores: 2 },
    environment: ENVIRONMENT,
    files: memoryFiles({ ...OTHERS, '/start/main.ini': text }),
    flagValue: key => (Object.hasOwn(flags, key) ? flags[key] : undefined),
  })
}

const accepted: [title: string, lines: string[], expected: string[]][] = [
  ['order is kept', ['[uwsgi]', 'b=1', 'a=2', 'b=3'], ['b=1 @2', 'a=2 @3', 'b=3 @4']],
  ['other sections are left alone', ['[other]', 'x=%q', '[uwsgi]', 'a=1', '[uwsgi]', 'b=2'], ['a=1 @4', 'b=2 @6']],
  ['[__proto__] is a section like others', ['[__proto__]', 'x=1', '[uwsgi]', 'ini=:__proto__'], ['x=1 @2']],
  ['magic in keys and values', ['[uwsgi]', '%n-key = %s %%'], ['main-key=main.ini % @2']],
  [
    'another file, in its place',
    ['[uwsgi]', 'a=1', 'ini = inc.ini', 'z=%n'],
    ['a=1 @2', 'i=inc main  @inc.ini:2', 'z=main @4'],
  ],
  ['a section of another file', ['[uwsgi]', 'include = inc.ini:blue'], ['b=blue @inc.ini:4']],
  ['a section of this file', ['[uwsgi]', 'ini = :two', '[two]', 'x=%x'], ['x=two @4']],
  [
    'the same file twice is no circle',
    ['[uwsgi]', 'ini=inc.ini:blue', 'ini=inc.ini:blue'],
    ['b=blue @inc.ini:4', 'b=blue @inc.ini:4'],
  ],
  ['placeholders in includes', ['[uwsgi]', 'f = inc', 'ini = %(f).ini:blue'], ['f=inc @2', 'b=blue @inc.ini:4']],
  [
    'a placeholder that is set',
    ['[uwsgi]', 'set-placeholder = a = 1', 'set-ph=b=2', 'set=c=3=4'],
    ['a=1 @2', 'b=2 @3', 'c=3=4 @4'],
  ],
  ['if-env that holds', ['[uwsgi]', 'if-env = HOME', 'h = %(_)/x', 'endif =', 'z=1'], ['h=/home/site/x @3', 'z=1 @5']],
  [
    'if-env with a value',
    ['[uwsgi]', 'if-env=MODE=prod', 'a=1', 'endif', 'if-env=MODE=dev', 'a=2', 'endif'],
    ['a=1 @3'],
  ],
  [
    'else',
    ['[uwsgi]', 'if-env=NOSUCH', 'a=1', 'else', 'a=2', 'endif', 'if-env=HOME', 'a=3', 'else', 'a=4', 'end-if'],
    ['a=2 @5', 'a=3 @8'],
  ],
  ['if-not-env', ['[uwsgi]', 'if-not-env=NOSUCH', 'a=1', 'endif', 'if-not-env=HOME', 'a=2', 'endif'], ['a=1 @3']],
  [
    'if-file',
    ['[uwsgi]', 'if-file=inc.ini', 'a=%(_)', 'end', 'if-file=folder', 'a=2', 'endif', 'if-not-file=x', 'a=3', 'endif'],
    ['a=inc.ini @3', 'a=3 @9'],
  ],
  [
    'if-dir',
    [
      '[uwsgi]',
      'if-dir=/start/folder',
      'a=1',
      'endif',
      'if-dir=inc.ini',
      'a=2',
      'endif',
      'if-not-dir=x',
      'a=3',
      'endif',
    ],
    ['a=1 @3', 'a=3 @9'],
  ],
  ['if-exists', ['[uwsgi]', 'if-exists=folder', 'a=1', 'endif', 'if-not-exists=inc.ini', 'a=2', 'endif'], ['a=1 @3']],
  ['if-exists with a placeholder', ['[uwsgi]', 'f=inc', 'if-exists=%(f).ini', 'a=1', 'endif'], ['f=inc @2', 'a=1 @4']],
  [
    'if-opt',
    ['[uwsgi]', 'p=4', 'if-opt=p', 'a=%(_)', 'endif', 'if-opt=p=5', 'a=2', 'endif', 'if-not-opt=q', 'a=3', 'endif'],
    ['p=4 @2', 'a=4 @4', 'a=3 @10'],
  ],
  ['if-hostname', ['[uwsgi]', 'if-hostname=box', 'a=1', 'endif', 'if-not-hostname=box', 'a=2', 'endif'], ['a=1 @3']],
  [
    'for holds for each line by itself',
    ['[uwsgi]', 'for = a  b', 'x=%(_)', 'y=%(_)!', 'endfor'],
    ['x=a @3', 'x=b @3', 'y=a! @4', 'y=b! @4'],
  ],
  ['for-times', ['[uwsgi]', 'for-times=2', 'x=%(_)', 'end-for'], ['x=1 @3', 'x=2 @3']],
  ['for-readline', ['[uwsgi]', 'for-readline=words', 'x=%(_)', 'endfor'], ['x=one @3', 'x=two @3']],
  ['include in a block', ['[uwsgi]', 'if-env=HOME', 'ini=inc.ini:blue', 'endif'], ['b=blue @inc.ini:4']],
]
for (const [title, lines, expected] of accepted) {
  t.test(title, async t => {
    const { entries, mistakes } = read(lines.join('\n'))
    t.same(mistakes, [])
    t.same(
      entries.map(({ key, value, place }) => `${key}=${value} @${place.replace('main.ini:', '')}`),
      expected,
    )
  })
}

const refused: [title: string, lines: string[], place: string | RegExp, message: RegExp][] = [
  [
    'a missing section',
    ['[uwsgy]', 'a=1'],
    'main.ini',
    /^section \[uwsgi\] not found: main.ini: it has \[uwsgy\] \(did you mean `uwsgy`\?\)/,
  ],
  [
    'other sections',
    ['[public]', 'a=1', '[internal]'],
    'main.ini',
    /it has \[public\], \[internal\]: accepted `main.ini:NAME` of one of them$/,
  ],
  ['no section at all', [], 'main.ini', /it has no section at all/],
  [
    'an unknown magic variable',
    ['[uwsgi]', 'a = 50%'],
    'main.ini:2',
    /^unknown magic variable: received %: accepted `%%`/,
  ],
  [
    'a file that is not there',
    ['[uwsgi]', 'ini = nosuch.ini'],
    'main.ini:2',
    /^cannot read the configuration: nosuch.ini: no such file/,
  ],
  ['an include of nothing', ['[uwsgi]', 'include'], 'main.ini:2', /^include: received nothing/],
  [
    'an include of itself',
    ['[uwsgi]', 'ini = main.ini'],
    'main.ini:2',
    /^include in a circle: received main.ini:uwsgi/,
  ],
  ['an include of its own section', ['[uwsgi]', 'ini = :uwsgi'], 'main.ini:2', /in a circle/],
  ['a longer circle', ['[uwsgi]', 'ini = loop.ini'], 'loop.ini:2', /in a circle/],
  ['includes too deep', ['[uwsgi]', 'ini = deep0.ini'], 'deep14.ini:2', /deeper than 16 files/],
  ['includes too many', ['[uwsgi]', 'ini = fan.ini'], /^fan.ini:\d+$/, /more than 200 files/],
  ['a placeholder without key', ['[uwsgi]', 'set-placeholder = 1'], 'main.ini:2', /received no key/],
  ['endif without if', ['[uwsgi]', 'endif'], 'main.ini:2', /^endif: there is no open block/],
  ['else without if', ['[uwsgi]', 'else'], 'main.ini:2', /^else: there is no open block/],
  ['else of a loop', ['[uwsgi]', 'for = a', 'else', 'endfor'], 'main.ini:3', /^else: `for` has none/],
  ['an open block', ['[uwsgi]', 'if-env = HOME', 'a=1'], 'main.ini:2', /^if-env: its end is missing/],
  [
    'nested blocks',
    ['[uwsgi]', 'if-env = HOME', 'if-env = MODE', 'endif'],
    'main.ini:3',
    /^if-env: blocks cannot be nested/,
  ],
  [
    'a condition that cannot be known',
    ['[uwsgi]', 'if-reload', 'a=1', 'endif'],
    'main.ini:2',
    /^if-reload: not supported/,
  ],
  [
    'an unknown placeholder in a condition',
    ['[uwsgi]', 'if-file = %(nosuch)', 'endif'],
    'main.ini:2',
    /^if-file: no key nosuch/,
  ],
  [
    'a loop without end',
    ['[uwsgi]', 'for-times = 99999', 'endfor'],
    'main.ini:2',
    /^for-times: received 99999: accepted a number up to 1000/,
  ],
  ['a loop over a missing file', ['[uwsgi]', 'for-readline = nosuch', 'endfor'], 'main.ini:2', /cannot read nosuch/],
  [
    'loops of loops',
    ['[uwsgi]', 'for-times = 1000', ...Array.from({ length: 11 }, () => 'a = 1'), 'endfor'],
    'main.ini:12',
    /too many lines/,
  ],
]
for (const [title, lines, place, message] of refused) {
  t.test(`refuses ${title}`, async t => t.match(read(lines.join('\n')).mistakes[0], { place, message }))
}

t.test('all mistakes at once', async t => {
  const { mistakes } = read('x\n[uwsgi]\nendif\nini = nosuch.ini\na = %z\n')
  t.same(
    mistakes.map(mistake => mistake.place),
    ['main.ini:1', 'main.ini:3', 'main.ini:4', 'main.ini:5'],
  )
})

t.test('a mistake is told once, however often its file is read', async t => {
  const { mistakes } = read('x\n[uwsgi]\nini = :a\nini = :a\n[a]\ny = %z')
  t.same(
    mistakes.map(mistake => mistake.place),
    ['main.ini:1', 'main.ini:6'],
  )
})

t.test('the command line goes before the file', async t => {
  const { entries } = read('[uwsgi]\nf = x\nini = %(f).ini:blue\n', 'main.ini', { f: 'inc' })
  t.same(
    entries.map(entry => entry.key),
    ['f', 'b'],
  )
})

t.test('a section is chosen with the file', async t => {
  t.same(
    read('[uwsgi]\na=1\n[prod]\nb=%x', 'main.ini:prod').entries.map(entry => entry.value),
    ['prod'],
  )
  const names: [name: string, given: string, section: string][] = [
    ['a.ini', 'a.ini', ''],
    ['a.ini:b', 'a.ini', 'b'],
    ['a:b/c.ini', 'a:b/c.ini', ''],
    [':b', '', 'b'],
    ['a.ini:', 'a.ini', ''],
  ]
  for (const [name, given, section] of names) t.match(fileNamed(name, '/start'), { given, section }, name)
})

t.test('a value of the environment stays data, and a secret', async t => {
  const { entries } = read('[uwsgi]\nif-env = API_TOKEN\nenv = A=%(_)\nendif')
  t.equal(entries[0]?.isSecret, true)
  t.notMatch(entries[0]?.value, '%(x)', 'cannot be replaced again')
})

t.test('a file that is not there', async t => {
  t.match(read('', 'nosuch.ini').mistakes, [{ place: 'nosuch.ini', message: /no such file/ }])
})
