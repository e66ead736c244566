/** Tests of the lines of an INI: uWSGI's grammar, and what is refused. */

import t from 'tap'
import { LINE_CHARS, splitIni } from '../../../../supervisor/config/ini/ini-lines.js'

type Line = [section: string, key: string, value: string, line: number]

const accepted: [title: string, text: string, expected: Line[]][] = [
  ['a line', '[uwsgi]\na = b', [['uwsgi', 'a', 'b', 2]]],
  ['blanks around', '[uwsgi]\n \ta\t = \t b c \t', [['uwsgi', 'a', 'b c', 2]]],
  ['no blanks', '[uwsgi]\na=b', [['uwsgi', 'a', 'b', 2]]],
  ['the first = counts', '[uwsgi]\na=b=c', [['uwsgi', 'a', 'b=c', 2]]],
  ['a bare key', '[uwsgi]\nmaster', [['uwsgi', 'master', '', 2]]],
  ['an empty value', '[uwsgi]\nendif =', [['uwsgi', 'endif', '', 2]]],
  ['comments begin a line', '[uwsgi]\n; x\n  # y\na = b ; c # d', [['uwsgi', 'a', 'b ; c # d', 4]]],
  [
    'order and repeated keys',
    '[uwsgi]\nb=1\na=2\nb=3',
    [
      ['uwsgi', 'b', '1', 2],
      ['uwsgi', 'a', '2', 3],
      ['uwsgi', 'b', '3', 4],
    ],
  ],
  ['CRLF and a byte order mark', '\uFEFF[uwsgi]\r\na = b\r\n', [['uwsgi', 'a', 'b', 2]]],
  [
    'several sections',
    '[a]\nx=1\n[b c:d]\ny=2\n[a]\nz=3',
    [
      ['a', 'x', '1', 2],
      ['b c:d', 'y', '2', 4],
      ['a', 'z', '3', 6],
    ],
  ],
  ['a section that is a trap for objects', '[__proto__]\n__proto__ = 1', [['__proto__', '__proto__', '1', 2]]],
  ['the longest line', `[uwsgi]\na=${'x'.repeat(LINE_CHARS - 2)}`, [['uwsgi', 'a', 'x'.repeat(LINE_CHARS - 2), 2]]],
  ['nothing', '', []],
  ['blank lines', '\n \n\t\n', []],
]
for (const [title, text, expected] of accepted) {
  t.test(title, async t => {
    const { lines, mistakes } = splitIni(text, 'f')
    t.same(
      lines.map(({ section, key, value, line }) => [section, key, value, line]),
      expected,
    )
    t.same(mistakes, [])
  })
}

const refused: [title: string, text: string, place: string, message: RegExp][] = [
  ['a line before the first section', 'secret = b\n[uwsgi]', 'f:1', /^line before the first section/],
  ['no key', '[uwsgi]\n= secret', 'f:2', /^key: received none/],
  ['an open header', '[uwsgi\nsecret=b', 'f:1', /^section header/],
  ['text behind a header', '[uwsgi] secret\na=b', 'f:1', /^section header/],
  ['blanks in a header', '[ uwsgi ]\na=b', 'f:1', /^section header/],
  ['an empty header', '[]', 'f:1', /^section header/],
  ['NUL', '[uwsgi]\nsecret = b\0c', 'f:2', /^control character: received NUL/],
  ['an escape sequence', '[uwsgi]\nsecret = \x1b[31m', 'f:2', /^control character: received code 27/],
  ['CR within a line', '[uwsgi]\nsecret = b\rc = d', 'f:2', /^control character: received code 13/],
  [
    'a line too long',
    `[uwsgi]\nsecret=${'x'.repeat(1024 * 1024)}`,
    'f:2',
    /^line too long: received 1048583 characters: accepted at most 16384$/,
  ],
]
for (const [title, text, place, message] of refused) {
  t.test(`refuses ${title}`, async t => {
    const { lines, mistakes } = splitIni(text, 'f')
    t.match(mistakes, [{ place, message }])
    t.notMatch(mistakes[0]?.message, 'secret', 'says nothing of the line')
    t.same(
      lines.filter(line => line.section === 'uwsgi'),
      [],
    )
  })
}

t.same(splitIni('[a]\n[b]\n[a]', 'f').sections, ['a', 'b'])
