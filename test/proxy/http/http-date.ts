/** The three forms of dates in HTTP, and what is none. */

import t from 'tap'
import { parseHttpDate, printHttpDate } from '../../../proxy/http/http-date.js'

const NOW_MS = Date.UTC(2026, 10, 21, 10, 0, 0)
const EXAMPLE_MS = Date.UTC(1994, 10, 6, 8, 49, 37)

const CASES: [title: string, text: string, expected: number | null][] = [
  ['IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT', EXAMPLE_MS],
  ['RFC 850', 'Sunday, 06-Nov-94 08:49:37 GMT', EXAMPLE_MS],
  ['asctime', 'Sun Nov  6 08:49:37 1994', EXAMPLE_MS],
  ['asctime with two digits', 'Wed Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)],
  ['RFC 850, 50 years ahead', 'Saturday, 21-Nov-76 08:49:37 GMT', Date.UTC(2076, 10, 21, 8, 49, 37)],
  ['RFC 850, 51 years ahead is the past', 'Monday, 21-Nov-77 08:49:37 GMT', Date.UTC(1977, 10, 21, 8, 49, 37)],
  ['29 February of a leap year', 'Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
  ['leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)],
  ['a year below 100', 'Sat, 01 Jan 0050 00:00:00 GMT', Date.parse('0050-01-01T00:00:00Z')],
  ['29 February of another year', 'Wed, 29 Feb 2023 00:00:00 GMT', null],
  ['31 November', 'Sun, 31 Nov 1994 08:49:37 GMT', null],
  ['day 0', 'Sun, 00 Nov 1994 08:49:37 GMT', null],
  ['no such month', 'Sun, 06 Nox 1994 08:49:37 GMT', null],
  ['letters of two months', 'Sun, 06 anF 1994 08:49:37 GMT', null],
  ['hour 24', 'Sun, 06 Nov 1994 24:00:00 GMT', null],
  ['minute 60', 'Sun, 06 Nov 1994 08:60:00 GMT', null],
  ['second 61', 'Sun, 06 Nov 1994 08:49:61 GMT', null],
  ['another zone', 'Sun, 06 Nov 1994 08:49:37 UTC', null],
  ['an offset', 'Sun, 06 Nov 1994 08:49:37 +0000', null],
  ['no zone', 'Sun, 06 Nov 1994 08:49:37', null],
  ['one digit of a day', 'Sun, 6 Nov 1994 08:49:37 GMT', null],
  ['ISO 8601', '1994-11-06T08:49:37Z', null],
  ['a number', '784111777', null],
  ['text behind it', 'Sun, 06 Nov 1994 08:49:37 GMT; length=5', null],
  ['empty', '', null],
]

for (const [title, text, expected] of CASES) t.equal(parseHttpDate(text, NOW_MS), expected, title)

t.equal(printHttpDate(EXAMPLE_MS + 999), 'Sun, 06 Nov 1994 08:49:37 GMT')
t.equal(parseHttpDate(printHttpDate(NOW_MS), NOW_MS), NOW_MS)
