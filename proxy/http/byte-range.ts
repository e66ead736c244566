/**
 * The `Range` header for byte ranges (RFC 9110 §14). Pure.
 *
 * What must stay true: no set of ranges makes a response larger than the file itself. Ranges that overlap or touch
 * become one. These are treated as if the header were absent, which §14.2 allows: a set that would cost as much as the
 * whole file, one with more than `MOST_RANGES` elements, another unit, a syntax error.
 */

/** Both ends included. */
export interface ByteRange {
  first: number
  last: number
}

/**
 * `whole`: send everything with 200. `parts`: 206, in the order to be sent; several are `multipart/byteranges`.
 * `unsatisfiable`: 416.
 */
export type RangeDecision = { kind: 'whole' } | { kind: 'parts'; parts: ByteRange[] } | { kind: 'unsatisfiable' }

const WHOLE: RangeDecision = { kind: 'whole' }
const UNSATISFIABLE: RangeDecision = { kind: 'unsatisfiable' }

/** A reader of PDFs or of archives asks for a dozen. */
const MOST_RANGES = 64

/** The most bytes of the boundary and the fields of a part, with a content type of usual length. */
const PART_BYTES = 200

/** The meaning of a `Range` of this value for a representation of `sizeBytes`. */
export function decideRange(value: string | undefined, sizeBytes: number): RangeDecision {
  const specs = value === undefined ? null : specsOf(value)
  if (specs === null) return WHOLE
  const parts: ByteRange[] = []
  for (const spec of specs) {
    const range = rangeOf(spec, sizeBytes)
    if (range === 'malformed' || range === 'everything') return WHOLE
    if (range !== 'unsatisfiable') parts.push(range)
  }
  if (parts.length === 0) return UNSATISFIABLE
  return parts.length === 1 ? { kind: 'parts', parts } : severalParts(parts, sizeBytes)
}

/** `Content-Range` of a 206 or of one of its parts, or of a 416. */
export function printContentRange(range: ByteRange | null, sizeBytes: number): string {
  return range === null ? `bytes */${sizeBytes}` : `bytes ${range.first}-${range.last}/${sizeBytes}`
}

/** The elements of the list after `bytes=`; null for another unit, no element or too many. */
function specsOf(value: string): string[] | null {
  if (!/^bytes=/i.test(value)) return null
  const specs = value
    .slice('bytes='.length)
    .split(',', 1000)
    .map(spec => spec.trim())
    .filter(spec => spec !== '')
  return specs.length === 0 || specs.length > MOST_RANGES ? null : specs
}

/**
 * Positions of any number of digits become a number, at worst Infinity: they are only compared. The last bytes of an
 * empty file are the whole file, which `Content-Range` cannot say.
 */
function rangeOf(spec: string, sizeBytes: number): ByteRange | 'malformed' | 'unsatisfiable' | 'everything' {
  const [, firstDigits = '', lastDigits = ''] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  const last = lastDigits === '' ? Number.POSITIVE_INFINITY : Number(lastDigits)
  if (firstDigits === '') {
    if (lastDigits === '') return 'malformed'
    if (last === 0) return 'unsatisfiable'
    return sizeBytes === 0 ? 'everything' : { first: Math.max(0, sizeBytes - last), last: sizeBytes - 1 }
  }
  const first = Number(firstDigits)
  if (last < first) return 'malformed'
  return first >= sizeBytes ? 'unsatisfiable' : { first, last: Math.min(last, sizeBytes - 1) }
}

/** §15.3.7.2: the requested order is kept, unless some ranges had to be joined. */
function severalParts(asked: ByteRange[], sizeBytes: number): RangeDecision {
  const joined = joinTouching(asked)
  const parts = joined.length === asked.length ? asked : joined
  if (parts.length === 1) return { kind: 'parts', parts }
  const bytes = parts.reduce((sum, { first, last }) => sum + last - first + 1 + PART_BYTES, 0)
  return bytes < sizeBytes ? { kind: 'parts', parts } : WHOLE
}

function joinTouching(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: ByteRange[] = []
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last)
    else joined.push({ first, last })
  }
  return joined
}
