/** Following a WebSocket's frames without reading them: `proxy/tunnel/frame-boundary.ts`, against frames of every kind, split anywhere. */

import t from 'tap'
import { closeFrame, FrameBoundary } from '../../../proxy/tunnel/frame-boundary.js'

function frame(opcode: number, length: number, masked = false): Buffer {
  const head =
    length < 126
      ? [length]
      : length < 65_536
        ? [126, length >> 8, length & 0xff]
        : [127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff]
  if (masked) head[0]! |= 0x80
  // A payload that looks like frames.
  return Buffer.concat([
    Buffer.from([0x80 | opcode, ...head, ...(masked ? [8, 8, 8, 8] : [])]),
    Buffer.alloc(length, 0x88),
  ])
}

const frames: [title: string, bytes: Buffer][] = [
  ['a text', frame(1, 5)],
  ['an empty text', frame(1, 0)],
  ['the longest short one', frame(2, 125)],
  ['the shortest with two bytes of length', frame(2, 126)],
  ['the longest with two bytes', frame(2, 65_535)],
  ['with eight bytes of length', frame(2, 65_536)],
  ['a ping', frame(9, 3)],
  ['masked', frame(1, 200, true)],
  ['masked and empty', frame(1, 0, true)],
]

for (const [title, bytes] of frames) {
  t.test(`the end of one frame: ${title}`, t => {
    const boundary = new FrameBoundary()
    t.ok(boundary.isReached, 'at the beginning')
    let early = 0
    for (const byte of bytes.subarray(0, -1)) {
      boundary.feed(Buffer.from([byte]))
      if (boundary.isReached) early++
    }
    t.equal(early, 0, 'not before its end')
    boundary.feed(bytes.subarray(-1))
    t.ok(boundary.isReached)
    t.notOk(boundary.closes)
    t.end()
  })
}

t.test('all frames in pieces of every small size', t => {
  const stream = Buffer.concat(frames.map(([, bytes]) => bytes))
  for (let size = 1; size <= 40; size++) {
    const boundary = new FrameBoundary()
    for (let at = 0; at < stream.length; at += size) boundary.feed(stream.subarray(at, at + size))
    if (!boundary.isReached || boundary.closes) t.fail(`in pieces of ${size}`)
  }
  t.pass()
  t.end()
})

t.test('up to the next boundary', t => {
  const [first, second] = [frame(1, 300), frame(1, 2)]
  const boundary = new FrameBoundary()
  boundary.feed(first.subarray(0, 100))
  const rest = Buffer.concat([first.subarray(100), second])
  t.equal(boundary.feed(rest, true), first.length - 100)
  t.ok(boundary.isReached)
  t.equal(boundary.feed(rest.subarray(first.length - 100), true), second.length)
  t.equal(boundary.feed(frame(1, 300).subarray(0, 50), true), 50, 'there is none')
  t.notOk(boundary.isReached)
  t.end()
})

t.test('a close frame is noticed as it begins', t => {
  const boundary = new FrameBoundary()
  boundary.feed(frame(1, 9))
  boundary.feed(Buffer.from([0x88]))
  t.ok(boundary.closes)
  t.notOk(boundary.isReached)
  t.end()
})

t.test('a close frame of ours', t => {
  t.same([...closeFrame(1012, 'bye')], [0x88, 5, 0x03, 0xf4, 0x62, 0x79, 0x65])
  t.same([...closeFrame(1001, '')], [0x88, 2, 0x03, 0xe9])
  const long = closeFrame(1012, 'x'.repeat(500))
  t.equal(long.length, 127, 'a control frame is short')
  t.equal(long[1], 125)
  const boundary = new FrameBoundary()
  boundary.feed(long)
  t.ok(boundary.isReached && boundary.closes)
  t.end()
})
