/** Taking framing off: bodies by every framing, and heads that come in pieces. */

import t from 'tap'
import { HeadCollector } from '../../../proxy/http/head-collector.js'
import { ResponseBody } from '../../../proxy/http/response-body.js'
import type { ResponseHead } from '../../../proxy/http/response-head.js'

function bodyOf(framing: ResponseHead['framing'], length = 0): ResponseBody {
  return new ResponseBody({ status: 200, reason: 'OK', fields: [], framing, length })
}

t.test('bodies', async t => {
  const cases: [
    title: string,
    body: ResponseBody,
    parts: string[],
    data: string,
    isFramed: boolean,
    isComplete: boolean,
  ][] = [
    ['a length', bodyOf('length', 5), ['he', 'llo'], 'hello', true, true],
    ['too little', bodyOf('length', 5), ['he'], 'he', true, false],
    ['too much', bodyOf('length', 5), ['hello', '!'], 'hello', false, true],
    ['none', bodyOf('none'), [], '', true, true],
    ['a byte of none', bodyOf('none'), ['x'], '', false, true],
    ['up to the end', bodyOf('close'), ['a', 'b'], 'ab', true, true],
    ['chunks', bodyOf('chunked'), ['1\r\na\r', '\n1\r\nb\r\n0\r\n\r\n'], 'ab', true, true],
    ['chunks without end', bodyOf('chunked'), ['1\r\na\r\n'], 'a', true, false],
    ['something behind chunks', bodyOf('chunked'), ['0\r\n\r\n', 'HTTP/1.1 200 EVIL'], '', false, true],
    ['something behind chunks, at once', bodyOf('chunked'), ['0\r\n\r\nHTTP/1.1 200 EVIL'], '', false, true],
    ['no chunks', bodyOf('chunked'), ['hello\r\n'], '', false, false],
  ]
  for (const [title, body, parts, data, isFramed, isComplete] of cases) {
    let taken = ''
    const framed = parts.map(part =>
      body.feed(Buffer.from(part), bytes => {
        taken += bytes
      }),
    )
    t.equal(taken, data, title)
    t.equal(framed.every(Boolean), isFramed, `${title}: framed`)
    t.equal(body.isComplete, isComplete, `${title}: complete`)
  }
})

t.test('a head in pieces', async t => {
  const text = `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(1000)}\r\nContent-Length: 2\r\n\r\nhi`
  const collector = new HeadCollector('GET')
  const results = [...text].map(byte => collector.take(byte)).filter(collected => collected !== null)
  t.match(results[0], { head: { status: 200, length: 2 }, rest: Buffer.alloc(0) })
  t.match(new HeadCollector('GET').take(Buffer.from(text)), { rest: Buffer.from('hi') })
  const endless = new HeadCollector('GET')
  endless.take('HTTP/1.1 200 OK\r\nA: ')
  t.match(endless.take('x'.repeat(300_000)), { head: { bad: 'its head has no end' } })
})
