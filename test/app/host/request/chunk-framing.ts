import t from 'tap'
import { ChunkFraming } from '../../../../app/host/request/chunk-framing.js'

const good: [title: string, text: string][] = [
  ['nothing', '0\r\n\r\n'],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n'],
  ['capitals', 'A\r\n0123456789\r\n0\r\n\r\n'],
  ['data that looks like an end', '7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n'],
  ['trailers', '1\r\na\r\n0\r\nX-Sum: 7\r\nY:\r\n\r\n'],
]

const bad: [title: string, text: string][] = [
  ['something behind the end', '0\r\n\r\nHTTP/1.1 200 EVIL\r\n\r\n'],
  ['a byte behind the end', '0\r\n\r\nx'],
  ['an early end in the middle', '1\r\na\r\n0\r\n\r\n1\r\nb\r\n0\r\n\r\n'],
  ['no size', 'hello\r\n'],
  ['an empty size', '\r\n'],
  ['a sign', '+1\r\na\r\n'],
  ['an extension', '1;a=b\r\na\r\n'],
  ['a size beyond counting', `${'f'.repeat(14)}\r\n`],
  ['an endless size', '1'.repeat(100)],
  ['a bare line feed', '1\na\r\n'],
  ['more than the size', '1\r\nab\r\n'],
  ['a trailer that ends early', '0\r\nX: y\r\n\r\nHTTP/1.1 200 EVIL\r\n'],
  ['a trailer that is none', '0\r\nHTTP/1.1 200 EVIL\r\n'],
  ['a trailer with a carriage return', '0\r\nX: y\rZ: a\r\n\r\n'],
  ['a trailer without end', `0\r\nX: ${'y'.repeat(70_000)}`],
  ['trailers without end', `0\r\n${'X: y\r\n'.repeat(20_000)}`],
]

t.test('chunks that are whole', async t => {
  for (const [title, text] of good) {
    const framing = new ChunkFraming()
    t.equal(framing.take(`head${text}`, 4), true, title)
    t.equal(framing.isComplete, true, `${title}: complete`)
    const bytewise = new ChunkFraming()
    for (const byte of Buffer.from(text)) {
      t.equal(bytewise.isComplete, false)
      bytewise.take(Buffer.of(byte))
    }
    t.equal(bytewise.isComplete, true, `${title}: byte by byte`)
    const cut = new ChunkFraming()
    cut.take(text.slice(0, -1))
    t.equal(cut.isComplete, false, `${title}: without its last byte`)
  }
})

t.test('chunks that are not', async t => {
  for (const [title, text] of bad) {
    t.equal(new ChunkFraming().take(text), false, title)
    t.equal(new ChunkFraming().take(Buffer.from(text)), false, `${title}: as bytes`)
  }
})
