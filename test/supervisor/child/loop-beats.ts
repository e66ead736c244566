/** Tests `supervisor/child/loop-beats.ts`: when a loop counts as one that stands still. */

import t from 'tap'
import { LoopBeats } from '../../../supervisor/child/loop-beats.js'

const CASES: [title: string, beats: number[], still: (number | null)[]][] = [
  ['a loop that goes round', [5, 9, 14], [null, null, null]],
  ['one that stands still', [0, 0, 0], [null, 0, 0]],
  ['one that is held up again and again', [3, 6, 9], [null, 0, 0]],
  ['one that is late once, as behind a SIGCONT', [0, 5, 5, 10], [null, null, null, null]],
  ['one that goes on', [5, 5, 6, 12, 12, 12], [null, null, 1000, null, null, 4000]],
]
for (const [title, beats, still] of CASES) {
  t.test(title, async t => {
    const loop = new LoopBeats(0, 0)
    const seen = beats.map((beat, nr) => {
      loop.look(beat, 1000 * (nr + 1))
      return loop.stillSinceMs
    })
    t.same(seen, still)
  })
}

t.test('a count that wraps round', async t => {
  const loop = new LoopBeats(2 ** 31 - 2, 0)
  loop.look(-(2 ** 31) + 3, 1000)
  loop.look(-(2 ** 31) + 8, 2000)
  t.equal(loop.stillSinceMs, null)
})
