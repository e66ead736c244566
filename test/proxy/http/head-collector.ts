/** The head of an answer in pieces of any size, and what is behind it. */

import t from 'tap'
import { HeadCollector } from '../../../proxy/http/head-collector.js'
import { isBadHead, MAX_RESPONSE_HEAD_BYTES } from '../../../proxy/http/response-head.js'

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: caf\xe9\r\n\r\n'

t.test('in pieces', async t => {
  for (const size of [1, 2, 3, 7, 1000]) {
    const collector = new HeadCollector('GET')
    const text = `${HEAD}body`
    let found: ReturnType<HeadCollector['take']> = null
    let at = 0
    for (; found === null; at += size) {
      const piece = text.slice(at, at + size)
      found = collector.take(at % 2 === 0 ? piece : Buffer.from(piece, 'latin1'))
    }
    t.match(found.head, { status: 200, length: 4 }, `pieces of ${size}`)
    t.equal(found.rest.latin1Slice(), text.slice(HEAD.length, at))
  }
})

t.test('a head without end, byte by byte, is given up at its bound', async t => {
  const collector = new HeadCollector('GET')
  // Where each byte has all before it copied and searched, this takes a minute.
  let bytes = 0
  let found: ReturnType<HeadCollector['take']> = null
  for (; found === null; bytes++) found = collector.take('x')
  t.equal(bytes, MAX_RESPONSE_HEAD_BYTES + 1)
  t.ok(isBadHead(found.head))
})
