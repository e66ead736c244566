/** The pieces of a replayable body: `proxy/exchange/replayable-body.ts`. */

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { addPiece } from '../../../proxy/exchange/replayable-body.js'
import { randomNumbers } from '../../supervisor/fixtures/random-numbers.js'

const random = randomNumbers(1)
const falling = Array.from({ length: 400 }, (_, index) => 400 - index)

const cases: [title: string, sizes: number[], mostPieces: number][] = [
  ['nothing', [], 0],
  ['one piece', [1], 1],
  ['bytes', Array.from({ length: 100_000 }, () => 1), 100],
  ['sizes that fall', [...falling, ...falling], 100],
  ['large ones with a byte between', [65_536, 1, 65_536, 1, 65_536], 5],
  ['of any size', Array.from({ length: 1000 }, () => 1 + random([2, 100, 5000][random(3)] ?? 1)), 700],
]
for (const [title, sizes, mostPieces] of cases) {
  t.test(title, async t => {
    const bytes = randomBytes(sizes.reduce((sum, size) => sum + size, 0))
    const replayable: Buffer[] = []
    let at = 0
    for (const size of sizes) {
      addPiece(replayable, bytes.subarray(at, at + size))
      at += size
    }
    t.ok(Buffer.concat(replayable).equals(bytes), 'no byte is lost, doubled or moved')
    t.ok(replayable.length <= mostPieces, `${replayable.length} pieces`)
  })
}
