/** Interim answers that an application writes in pieces: `app/host/request/interim-heads.ts`. */

import t from 'tap'
import { InterimHeads, mayBeInterim } from '../../../../app/host/request/interim-heads.js'

const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'
const PROCESSING = 'HTTP/1.1 102 Processing\r\n\r\n'

t.test('whole heads come out, whatever the pieces are, and what is none comes as it is', async t => {
  const final = 'HTTP/1.1 200 OK\r\n\r\n'
  const cases: [title: string, pieces: string[], expected: string[]][] = [
    ['one', [HINTS], [HINTS]],
    ['two', [HINTS, PROCESSING], [HINTS, PROCESSING]],
    ['line by line', HINTS.split(/(?<=\n)/), [HINTS]],
    ['byte by byte', [...(HINTS + PROCESSING)], [HINTS, PROCESSING]],
    ['nothing', [''], []],
    ['the beginning of one', ['HTTP/1.1 1'], []],
    ['two in one piece', [HINTS + PROCESSING], [HINTS + PROCESSING]],
    ['one with more behind its end', [HINTS.slice(0, 30), HINTS.slice(30) + final], [HINTS + final]],
    ['a final answer', [final], [final]],
    ['a final answer behind one', [HINTS, final], [HINTS, final]],
    ['bytes', ['any', 'thing'], ['any', 'thing']],
  ]
  for (const [title, pieces, expected] of cases) {
    const heads = new InterimHeads()
    const taken = pieces.map(piece => heads.take(piece)).filter(text => text !== '')
    t.same(taken, expected, title)
  }
})

t.test('what is held is known', async t => {
  const heads = new InterimHeads()
  t.equal(heads.openBytes, 0)
  heads.take(HINTS.slice(0, 30))
  t.equal(heads.openBytes, 30)
  heads.take(HINTS.slice(30))
  t.equal(heads.openBytes, 0)
})

t.test('the first digit of the status tells', async t => {
  for (const [text, expected] of [
    [HINTS, true],
    ['HTTP/1.1 200 OK\r\n', false],
    ['HTTP', false],
    ['', false],
  ] as const) {
    t.equal(mayBeInterim(text), expected, text)
    t.equal(mayBeInterim(Buffer.from(text)), expected, `${text}, in bytes`)
  }
})
