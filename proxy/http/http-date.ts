/**
 * The dates of HTTP (RFC 9110 §5.6.7). Pure, but for `httpDate`. All three forms are read, only IMF-fixdate is written.
 * Any other text is no date, and its header is ignored.
 */

const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec'

const FORMS = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
]

/** `Sun, 06 Nov 1994 08:49:37 GMT`; the milliseconds are cut off. */
export function printHttpDate(ms: number): string {
  return new Date(ms).toUTCString()
}

/**
 * Milliseconds since the epoch, or null if `text` is not a date of HTTP. `nowMs` decides the century of a two-digit
 * year.
 */
export function parseHttpDate(text: string, nowMs: number): number | null {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups
    if (parts !== undefined) return millisecondsOf(parts, nowMs)
  }
  return null
}

function millisecondsOf(parts: Record<string, string | undefined>, nowMs: number): number | null {
  const { day = '', month = '', year = '', time = '' } = parts
  const monthAt = MONTHS.indexOf(month)
  if (monthAt % 3 !== 0) return null
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number)
  // A second of 60 is a leap second, which the clock of POSIX counts as the first second of the next minute.
  if (hours > 23 || minutes > 59 || seconds > 60) return null
  const midnight = new Date(0)
  midnight.setUTCFullYear(fullYear(year, nowMs), monthAt / 3, Number(day))
  if (midnight.getUTCDate() !== Number(day)) return null
  return midnight.getTime() + ((hours * 60 + minutes) * 60 + seconds) * 1000
}

/** A two-digit year that seems to be more than 50 years ahead means the past (RFC 9110 §5.6.7). */
function fullYear(year: string, nowMs: number): number {
  if (year.length === 4) return Number(year)
  const thisYear = new Date(nowMs).getUTCFullYear()
  const sameCentury = thisYear - (thisYear % 100) + Number(year)
  return sameCentury > thisYear + 50 ? sameCentury - 100 : sameCentury
}

let second = -1
let text = ''

/** Now, as IMF-fixdate, made once a second. */
export function httpDate(): string {
  const nowMs = Date.now()
  if (Math.floor(nowMs / 1000) !== second) {
    second = Math.floor(nowMs / 1000)
    text = new Date(nowMs).toUTCString()
  }
  return text
}
