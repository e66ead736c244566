/** The children's output: `supervisor/log/output-lines.ts`. */

import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { LastLines, OutputGate, WholeLines } from '../../../supervisor/log/output-lines.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const long = 'x'.repeat(70_000)
const cases: [string, string[], string[]][] = [
  ['one line', ['a\n'], ['a\n']],
  ['several in one chunk', ['a\nb\n'], ['a\nb\n']],
  ['a line in pieces', ['a', 'b', 'c\nd'], ['abc\n', 'd\n']],
  ['an empty line', ['\n'], ['\n']],
  ['nothing', [], []],
  ['no newline at the end', ['a\nb'], ['a\n', 'b\n']],
  ['a line without end is broken, and its rest is no line of its own', [long, 'y\n'], [`${long}\n`, '  y\n']],
  ['several times', [long, long, 'y\nz\n'], [`${long}\n`, `  ${long}\n`, '  y\nz\n']],
  ['at its end', [long, '\ny\n'], [`${long}\n`, '\ny\n']],
  ['and no more comes', [long], [`${long}\n`]],
]
for (const [title, chunks, expected] of cases) {
  t.test(title, t => {
    const taken: string[] = []
    const lines = new WholeLines(bytes => taken.push(bytes.toString()))
    for (const chunk of chunks) lines.push(Buffer.from(chunk))
    lines.end()
    t.same(taken, expected)
    t.end()
  })
}

/** What a child writes piece by piece, 400 bytes or so for each piece that is kept. */
const pieces: [title: string, piece: string, count: number][] = [
  ['a byte at a time, without a newline', 'x', 60_000],
  ['two bytes at a time', 'é', 30_000],
  ['up to the longest line', 'x', 65_535],
]
for (const [title, piece, count] of pieces) {
  t.test(`what waits costs its bytes: ${title}`, t => {
    const children = Array.from({ length: 4 }, () => new WholeLines(() => t.fail('no line has ended')))
    const before = heldBytes()
    for (const child of children) for (let left = count; left > 0; left--) child.push(Buffer.from(piece))
    const held = heldBytes() - before
    t.ok(held < 4_000_000, `${held} bytes for ${4 * count} pieces`)
    t.equal(children.length, 4, 'which are still there')
    t.end()
  })
}

function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

t.test('the last lines are bounded in number and length', t => {
  const last = new LastLines()
  for (let index = 0; index < 100; index++) last.push(`${index} ${'z'.repeat(10_000)}`)
  t.equal(last.all().length, 20)
  t.match(last.all()[0], /^80 z{497}$/)
  t.end()
})

t.test('an error is told although its stack is longer than that', t => {
  const last = new LastLines()
  const stack = Array.from({ length: 30 }, (_, at) => `    at frame${at} (/srv/app.js)`)
  for (const line of ['TypeError: an early one', 'Error: listen EADDRINUSE: address already in use', ...stack])
    last.push(line)
  t.same(last.all().slice(0, 3), ['Error: listen EADDRINUSE: address already in use', '    …', stack[10]])
  t.equal(last.all().length, 22)
  t.end()
})

t.test('while the sink is behind nothing is read, and then everything', async t => {
  let isBehind = true
  let drained = () => {}
  const taken: string[] = []
  const gate = new OutputGate({
    write: chunk => taken.push(Buffer.from(chunk).toString()) > 0 && !isBehind,
    onDrain: listener => {
      drained = listener
    },
  })
  const streams = [new PassThrough(), new PassThrough(), new PassThrough()]
  const lines: string[] = []
  for (const stream of streams.slice(0, 2)) gate.forward(stream, { onLine: line => lines.push(line) })
  const paused = once(streams[0]!, 'pause')
  streams[0]!.write('one\n')
  await paused
  streams[0]!.write('two\n')
  t.same(taken, ['one\n'])
  t.ok(streams[1]!.isPaused(), 'from nobody')
  gate.forward(streams[2]!, { onLine: line => lines.push(line) })
  t.ok(streams[2]!.isPaused(), 'nor from a child that starts now')
  isBehind = false
  drained()
  for (const stream of streams) stream.end('three\n')
  await Promise.all(streams.map(stream => once(stream, 'close')))
  t.equal(taken.join(''), 'one\ntwo\nthree\nthree\nthree\n')
  t.same(lines, ['one', 'two', 'three', 'three', 'three'])
})
