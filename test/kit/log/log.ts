/** Lines of the program's own log: their form, and that no value can forge a field or a line. */

import t from 'tap'
import { createLog, type EventFields } from '../../../kit/log/log.js'

const NOW = new Date('2026-11-21T10:00:00.000Z')

t.test('one line for one event', async t => {
  const cases: [title: string, fields: EventFields | undefined, expected: string][] = [
    ['no fields', undefined, ''],
    ['numbers and truth', { slot: 3, ok: true, pid: null }, ' slot=3 ok=true pid=null'],
    ['left out', { a: undefined, b: 1 }, ' b=1'],
    ['plain text', { url: 'http://[::1]:80/a', share: '5%' }, ' url=http://[::1]:80/a share=5%'],
    ['empty text', { a: '' }, ' a=""'],
    ['a space', { why: 'no more' }, ' why="no more"'],
    ['a forged field', { why: 'a b=c' }, ' why="a b=c"'],
    ['a forged field without a space', { why: 'a=b' }, ' why="a=b"'],
    ['a forged line', { why: 'a\nb' }, ' why="a\\nb"'],
    ['a quote', { why: 'a"b' }, ' why="a\\"b"'],
    ['an escape sequence', { why: '\x1b[31m' }, ' why="\\u001b[31m"'],
    ['what moves a cursor without a C0', { why: '\x7f\x9b6n' }, ' why="\\u007f\\u009b6n"'],
    ['another direction of writing', { why: 'a\u202eb\u2028' }, ' why="a\\u202eb\\u2028"'],
    ['a carriage return', { why: '\r' }, ' why="\\r"'],
  ]
  for (const [title, fields, expected] of cases) {
    const lines: string[] = []
    createLog(
      line => lines.push(line),
      () => NOW,
    )('worker-ready', fields)
    t.same(lines, [`2026-11-21T10:00:00.000Z worker-ready${expected}\n`], title)
  }
})
