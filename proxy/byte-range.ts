/**
 * The `Range` header for byte ranges (RFC 9110 §14). Called by static files; pure.
 * One range is honoured. Several ranges, other units and whatever has a syntax error are answered as if the header were
 * absent, which the RFC allows, and which bounds the answer to the size of the file however many ranges are asked for.
 */

/** `whole`: send everything with 200. `part`: 206, both ends included. `unsatisfiable`: 416. */
export type RangeDecision =
  | { kind: 'whole' }
  | { kind: 'part'; first: number; last: number }
  | { kind: 'unsatisfiable' }

const WHOLE: RangeDecision = { kind: 'whole' }
const UNSATISFIABLE: RangeDecision = { kind: 'unsatisfiable' }

/** What a `Range` of this value means for a representation of `sizeBytes`. */
export function decideRange(value: string | undefined, sizeBytes: number): RangeDecision {
  if (value === undefined) return WHOLE
  const spec = singleSpec(value)
  const parts = spec === null ? null : /^(\d*)-(\d*)$/.exec(spec)
  if (parts === null) return WHOLE
  const [, first = '', last = ''] = parts
  if (first === '') return last === '' ? WHOLE : suffixRange(Number(last), sizeBytes)
  return intRange(Number(first), last === '' ? Number.POSITIVE_INFINITY : Number(last), sizeBytes)
}

/** `Content-Range` of a 206, or of a 416. */
export function printContentRange(range: { first: number; last: number } | null, sizeBytes: number): string {
  return range === null ? `bytes */${sizeBytes}` : `bytes ${range.first}-${range.last}/${sizeBytes}`
}

/** The only element of the list after `bytes=`; null for another unit, no element or several. */
function singleSpec(value: string): string | null {
  if (!/^bytes=/i.test(value)) return null
  const specs = value
    .slice('bytes='.length)
    .split(',', 1000)
    .map(spec => spec.trim())
    .filter(spec => spec !== '')
  return specs.length === 1 ? (specs[0] ?? null) : null
}

/**
 * Positions of any number of digits come in as a number, at worst as Infinity: comparing is all that is done with them.
 */
function intRange(first: number, last: number, sizeBytes: number): RangeDecision {
  if (last < first) return WHOLE
  if (first >= sizeBytes) return UNSATISFIABLE
  return { kind: 'part', first, last: Math.min(last, sizeBytes - 1) }
}

/** The last `length` bytes. Of an empty file that is all of it, which `Content-Range` cannot say: 200. */
function suffixRange(length: number, sizeBytes: number): RangeDecision {
  if (length === 0) return UNSATISFIABLE
  if (sizeBytes === 0) return WHOLE
  return { kind: 'part', first: Math.max(0, sizeBytes - length), last: sizeBytes - 1 }
}
