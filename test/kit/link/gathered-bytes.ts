/** Pieces come out as one, and few bytes are copied more than once or twice. */

import t from 'tap'
import { GatheredBytes } from '../../../kit/link/gathered-bytes.js'

t.test('what was added, in order', async t => {
  const gathered = new GatheredBytes()
  gathered.add(Buffer.from('xabx'), 1, 3)
  gathered.addText('c\xff')
  gathered.add(Buffer.from('d'.repeat(1000)))
  t.equal(gathered.length, 1004)
  t.equal(gathered.indexOf('c\xffd'), 2)
  t.equal(gathered.indexOf('ab', 1), -1)
  t.equal(gathered.take().latin1Slice(), `abc\xff${'d'.repeat(1000)}`)
  t.equal(gathered.length, 0)
  t.equal(gathered.indexOf('a'), -1, 'what was there before is not found')
})

t.test('a megabyte, byte by byte, changes rooms some dozen times', async t => {
  const gathered = new GatheredBytes()
  const byte = Buffer.from('x')
  const rooms = new Set<Buffer>()
  for (let count = 0; count < 1024 ** 2; count++) {
    gathered.add(byte)
    rooms.add(gathered.room)
  }
  t.ok(rooms.size < 16, `${rooms.size} rooms`)
  gathered.clear()
  t.equal(gathered.room.length, 0, 'a large room is given back')
})
