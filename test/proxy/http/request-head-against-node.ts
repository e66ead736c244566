/**
 * Our request parser beside Node's own: whatever Node refuses we refuse, and whatever we take Node reads as the same method,
 * target, fields and body, with the same end.
 */

import t from 'tap'
import { compareReadings } from '../../fuzz/compare-readings.js'
import { disagreement } from '../../fuzz/disagreement.js'
import { NEXT_REQUEST } from '../../fuzz/mutated-request.js'
import { NodeReader } from '../../fuzz/node-reader.js'
import { readAsProxy } from '../../fuzz/request-reading.js'

const INPUTS = 25_000
const SEED = 20

t.test(`${INPUTS} damaged requests are read as Node reads them, or refused`, async t => {
  const compared = await compareReadings(SEED, 0, INPUTS)
  t.equal(compared.disagreement, null)
  t.equal(compared.inputs, INPUTS)
  // A comparison of refusals alone would say little.
  t.ok(compared.complete > INPUTS / 5, `${compared.complete} were taken whole`)
  t.ok(compared.chunked > INPUTS / 8, `${compared.chunked} had a chunked request that was taken whole`)
  t.ok(compared.splits > INPUTS * 2, `${compared.splits} readings in pieces`)
  t.ok(compared.refusedByUs > INPUTS / 5, `${compared.refusedByUs} were refused by us`)
  t.ok(compared.refusedByNode > INPUTS / 10, `${compared.refusedByNode} were refused by Node`)
})

t.test('sound requests are taken by both', async t => {
  const reader = new NodeReader()
  const cases: [title: string, input: string, bodies: string[]][] = [
    ['no body', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', ['', '']],
    ['a length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello', ['hello', '']],
    [
      'chunks',
      'DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
      ['hello', ''],
    ],
    ['the last of its connection', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', ['']],
    ['an upgrade that nobody takes', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', ['']],
  ]
  for (const [title, input, bodies] of cases) {
    const ours = readAsProxy(input + NEXT_REQUEST)
    t.strictSame(
      ours.map(request => request.complete && request.body),
      bodies,
      title,
    )
    t.equal(disagreement(ours, await reader.read(input + NEXT_REQUEST)), null, title)
  }
})

t.test('white space that RFC 9112 §7.1.1 calls bad is taken by neither', async t => {
  const reader = new NodeReader()
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const size of ['1 ', '1 ;a', '1; a', '1;a =b', '1;a= b', '1;a=b ', '1\t;a', '1;a ;b', '1;a="b" ', ' 1']) {
    const input = `${head}${size}\r\nx\r\n0\r\n\r\n`
    t.match(readAsProxy(input), [{ complete: false, refused: true }], JSON.stringify(size))
    t.type((await reader.read(input)).refusal, 'string', `${JSON.stringify(size)}: node`)
  }
})

t.test('the comparison sees what it is for', async t => {
  const reader = new NodeReader()
  const sound = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello'
  const cases: [title: string, other: string][] = [
    ['another method', sound.replace('POST', 'PUT')],
    ['another target', sound.replace('/a', '/b')],
    ['another version', sound.replace('HTTP/1.1', 'HTTP/1.0')],
    ['another field', sound.replace('X: y', 'X: z')],
    ['a field less', sound.replace('X: y\r\n', '')],
    ['another end', sound.replace('Content-Length: 5', 'Content-Length: 4')],
    ['no end', sound.replace('Content-Length: 5', 'Content-Length: 500')],
    ['another body', sound.replace('hello', 'hallo')],
    ['closes', sound.replace('X: y', 'X: y\r\nConnection: close')],
    ['a refusal', sound.replace('X: y', 'X y')],
    ['a refused body', sound.replace('Content-Length: 5', 'Transfer-Encoding: chunked')],
  ]
  for (const [title, other] of cases)
    t.type(disagreement(readAsProxy(sound), await reader.read(other)), 'string', title)
})
