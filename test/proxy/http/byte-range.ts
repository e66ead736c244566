/** Byte ranges: honoured, joined, refused, ignored, and never more than the file. */

import t from 'tap'
import { decideRange, printContentRange, type RangeDecision } from '../../../proxy/http/byte-range.js'

const WHOLE: RangeDecision = { kind: 'whole' }
const REFUSED: RangeDecision = { kind: 'unsatisfiable' }

function part(first: number, last: number): RangeDecision {
  return { kind: 'parts', parts: [{ first, last }] }
}

function parts(...pairs: [first: number, last: number][]): RangeDecision {
  return { kind: 'parts', parts: pairs.map(([first, last]) => ({ first, last })) }
}

/** Every other byte, `count` of them. */
function pairsOf(count: number): [number, number][] {
  return Array.from({ length: count }, (_, index) => [2 * index, 2 * index])
}

function singles(count: number): string {
  return pairsOf(count)
    .map(([at]) => `${at}-${at}`)
    .join()
}

const DIGITS = '9'.repeat(8000)

const CASES: [title: string, value: string | undefined, sizeBytes: number, expected: RangeDecision][] = [
  ['no header', undefined, 10, WHOLE],
  ['from the beginning', 'bytes=0-4', 10, part(0, 4)],
  ['one byte', 'bytes=0-0', 10, part(0, 0)],
  ['the last byte', 'bytes=9-9', 10, part(9, 9)],
  ['open end', 'bytes=3-', 10, part(3, 9)],
  ['end behind the file', 'bytes=3-99', 10, part(3, 9)],
  ['end past all counting', `bytes=3-${DIGITS}`, 10, part(3, 9)],
  ['end past 2^64', 'bytes=3-18446744073709551616', 10, part(3, 9)],
  ['suffix', 'bytes=-3', 10, part(7, 9)],
  ['suffix longer than the file', 'bytes=-11', 10, part(0, 9)],
  ['suffix past all counting', `bytes=-${DIGITS}`, 10, part(0, 9)],
  ['unit in capitals', 'BYTES=0-1', 10, part(0, 1)],
  ['empty list elements', 'bytes=, 0-1 ,', 10, part(0, 1)],
  ['leading zeros', 'bytes=0001-0002', 10, part(1, 2)],
  ['start at the end', 'bytes=10-', 10, REFUSED],
  ['start behind the end', 'bytes=11-12', 10, REFUSED],
  ['start past all counting', `bytes=${DIGITS}-`, 10, REFUSED],
  ['start past 2^64', 'bytes=18446744073709551616-18446744073709551617', 10, REFUSED],
  ['suffix of nothing', 'bytes=-0', 10, REFUSED],
  ['empty file', 'bytes=0-', 0, REFUSED],
  ['suffix of an empty file', 'bytes=-5', 0, WHOLE],
  ['end before start', 'bytes=5-4', 10, WHOLE],
  ['two ranges', 'bytes=0-1,300-401', 1000, parts([0, 1], [300, 401])],
  ['in the order asked for', 'bytes=300-401,0-1', 1000, parts([300, 401], [0, 1])],
  ['two ranges and a suffix', 'bytes=0-1,300-301,-2', 1000, parts([0, 1], [300, 301], [998, 999])],
  ['two of which one is behind the end', 'bytes=0-1,1000-', 1000, part(0, 1)],
  ['two that overlap', 'bytes=0-500,400-600', 1000, part(0, 600)],
  ['two that touch', 'bytes=5-9,0-4', 1000, part(0, 9)],
  ['one inside another', 'bytes=0-99,10-20', 1000, part(0, 99)],
  ['three of which two overlap', 'bytes=500-510,0-9,5-20', 1000, parts([0, 20], [500, 510])],
  ['all behind the end', 'bytes=1000-,1001-', 1000, REFUSED],
  ['two that cost more than the file', 'bytes=0-1,3-4', 10, WHOLE],
  ['two that are nearly the file', 'bytes=0-900,902-999', 1000, WHOLE],
  ['sixty-four single bytes', `bytes=${singles(64)}`, 100_000, parts(...pairsOf(64))],
  ['sixty-five', `bytes=${singles(65)}`, 100_000, WHOLE],
  ['a thousand single bytes', `bytes=${singles(1000)}`, 100_000_000, WHOLE],
  ['one of two is malformed', 'bytes=0-1,5-4', 1000, WHOLE],
  ['a thousand ranges', `bytes=${'0-,'.repeat(1000)}`, 10, WHOLE],
  ['another unit', 'lines=0-1', 10, WHOLE],
  ['no unit', '0-1', 10, WHOLE],
  ['no range', 'bytes=', 10, WHOLE],
  ['no number', 'bytes=-', 10, WHOLE],
  ['letters', 'bytes=a-b', 10, WHOLE],
  ['signs', 'bytes=+1-2', 10, WHOLE],
  ['negative start', 'bytes=--1', 10, WHOLE],
  ['fractions', 'bytes=0.5-2', 10, WHOLE],
  ['hexadecimal', 'bytes=0x1-0x2', 10, WHOLE],
  ['three numbers', 'bytes=1-2-3', 10, WHOLE],
  ['space inside', 'bytes=1 -2', 10, WHOLE],
  ['space before the sign', 'bytes =1-2', 10, WHOLE],
  ['empty value', '', 10, WHOLE],
]

for (const [title, value, sizeBytes, expected] of CASES) {
  t.strictSame(decideRange(value, sizeBytes), expected, title)
}

t.equal(printContentRange({ first: 2, last: 4 }, 10), 'bytes 2-4/10')
t.equal(printContentRange(null, 10), 'bytes */10')

for (let round = 0; round < 2000; round++) {
  const sizeBytes = 1 + (round % 1000)
  const at = (step: number) => (round * 7919 + step * 104_729) % (sizeBytes + 5)
  const value = `bytes=${Array.from({ length: 1 + (round % 9) }, (_, n) => `${at(n)}-${at(n) + (round % 50)}`).join()}`
  const decision = decideRange(value, sizeBytes)
  if (decision.kind !== 'parts') continue
  const sent = decision.parts.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  if (sent > sizeBytes) t.fail(`${value} of ${sizeBytes} bytes: ${sent} bytes sent`)
}
