/**
 * Which stored form of a file a client wants (RFC 9110 §12.5.3). Called by static files that have compressed siblings; pure.
 * Where the client likes several equally the server's order decides: the coding that is usually smallest first.
 */

/** A coding that can lie beside a file, and the ending of its name; the order is our preference. */
export const CODINGS = { br: '.br', zstd: '.zst', gzip: '.gz' } as const

export type ContentCoding = keyof typeof CODINGS
export type Coding = ContentCoding | 'identity'

/** Longer lists are nobody's; what comes behind counts as not listed. */
const MOST_ELEMENTS = 50

/**
 * The best of `available`, which is in the server's order and has `identity` last; null: the client refuses them all (406). An element with a
 * syntax error counts for nothing; of two for one coding the first counts.
 */
export function negotiateCoding<Available extends Coding>(
  acceptEncoding: string | undefined,
  available: readonly Available[],
): Available | null {
  const weights = acceptEncoding === undefined ? new Map<string, number>() : readWeights(acceptEncoding)
  let best: Available | null = null
  let bestWeight = 0
  for (const coding of available) {
    const weight = weightOf(coding, weights)
    if (weight > bestWeight) {
      best = coding
      bestWeight = weight
    }
  }
  return best
}

/** Identity that is not mentioned is acceptable, but the least of what is: whatever was asked for comes first. */
const UNASKED_IDENTITY = 0.0001

function weightOf(coding: Coding, weights: ReadonlyMap<string, number>): number {
  const own = weights.get(coding) ?? (coding === 'gzip' ? weights.get('x-gzip') : undefined)
  if (own !== undefined) return own
  const others = weights.get('*')
  if (coding !== 'identity') return others ?? 0
  return others === 0 ? 0 : UNASKED_IDENTITY
}

function readWeights(value: string): Map<string, number> {
  const weights = new Map<string, number>()
  for (const element of value.split(',', MOST_ELEMENTS)) {
    const parts = ELEMENT.exec(element)
    const name = parts?.[1]?.toLowerCase()
    if (name !== undefined && !weights.has(name)) weights.set(name, Number(parts?.[2] ?? 1))
  }
  return weights
}

const ELEMENT = /^[ \t]*([!#$%&'*+\-.^_`|~\dA-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$/
