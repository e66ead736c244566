/** What is made of the letters of a master FIFO: `supervisor/master/fifo-letters.ts`. */

import t from 'tap'
import { type SortedLetters, sortLetters } from '../../../supervisor/master/fifo-letters.js'

type Expected = { commands?: string[]; chosen?: number | null; unknown?: SortedLetters['unknown'] }

const cases: [title: string, letters: string, expected: Expected][] = [
  ['nothing', '', {}],
  ['each letter in its order', 'sr\nl', { commands: ['s tell-status', 'r reload', 'l reopen-logs'] }],
  ['a letter again and again', 'rrsrsr', { commands: ['r reload', 's tell-status'] }],
  ['workers are counted', '+-+s+', { commands: ['+ resize 3', '- resize -1', 's tell-status'] }],
  ['a pause, and its end', 'pp', {}],
  ['a pause, its end and a pause', 'prpp', { commands: ['p toggle-pause', 'r reload'] }],
  ['letters of words', 'hello\n', { commands: ['l reopen-logs'], unknown: [unknown('h'), unknown('e'), unknown('o')] }],
  [
    'the last digit that names a FIFO',
    '0r1092',
    { commands: ['r reload'], chosen: 0, unknown: [unknown('9'), unknown('2')] },
  ],
  ['the same digit twice', '101', { chosen: 1 }],
  ['names of the language', '\u0000\u00ff', { unknown: [unknown('\u0000'), unknown('\u00ff')] }],
  ['64 KB of one letter', '+'.repeat(65_536), { commands: ['+ resize 65536'] }],
  ['64 KB of nothing', 'x'.repeat(65_536), { unknown: [unknown('x', 65_536)] }],
]

function unknown(letter: string, count = 1) {
  return { letter, count }
}

for (const [title, letters, { commands = [], chosen = null, unknown = [] }] of cases) {
  t.test(title, async t => {
    const sorted = sortLetters(Buffer.from(letters, 'latin1'), 2)
    t.same(
      sorted.commands.map(({ letter, event }) =>
        [letter, event.type, ...(event.type === 'resize' ? [event.by] : [])].join(' '),
      ),
      commands,
    )
    t.equal(sorted.chosen, chosen)
    t.same(sorted.unknown, unknown)
  })
}
