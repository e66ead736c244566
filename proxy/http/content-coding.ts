/**
 * The content coding of a response. The client's wish (RFC 9110 §12.5.3) is matched with the stored variants of a file,
 * or with the codings that `compression-filter.ts` can make; if it likes several equally, the server's order decides.
 * This file also says which responses of an application may be compressed at all. Pure.
 */

import type { ContentCoding } from '../../kit/options/values/value-types.js'
import { listsEntityTag } from './entity-tag.js'
import { fieldValue, type ResponseField, type ResponseHead } from './response-head.js'

/** How the names of files in each coding end. */
export const SIBLING_ENDINGS = { br: '.br', zstd: '.zst', gzip: '.gz' } as const satisfies Record<ContentCoding, string>

export type Coding = ContentCoding | 'identity'

/** Nobody sends longer lists; elements behind this one count as not listed. */
const MOST_ELEMENTS = 50

/**
 * The best of `available`, which is in the server's order with `identity` last; null: the client refuses them all. An
 * element with a syntax error is ignored; of two elements for one coding the first counts.
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

/** The parts of the configuration and the request that decide whether a response may be compressed. */
export interface CompressionRule {
  types: ReadonlySet<string>
  minBytes: number
}

/**
 * Whether such a response is compressed for clients that accept it, and so varies with `Accept-Encoding` for all. The
 * length of a body without a stated length does not matter.
 */
export function isCompressible(head: ResponseHead, rule: CompressionRule): boolean {
  const { status, fields } = head
  // 206 is a part of another representation; 1xx, 204 and 304 have no body; no client reads a body behind 205.
  if (status === 204 || status === 205 || status === 206 || status === 304) return false
  const declared = fieldValue(fields, 'content-length')
  if (declared !== undefined && Number(declared) < rule.minBytes) return false
  if ((fieldValue(fields, 'content-encoding') ?? 'identity').toLowerCase() !== 'identity') return false
  if (fieldValue(fields, 'content-range') !== undefined) return false
  if (forbidsTransformation(fieldValue(fields, 'cache-control'))) return false
  return isTypeAmong(fieldValue(fields, 'content-type'), rule.types)
}

/** Whether a `Content-Type` is one of the configured types: `text/html`, `text/*`, `*`. */
export function isTypeAmong(contentType: string | undefined, types: ReadonlySet<string>): boolean {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type !== '' && (types.has(type) || types.has(`${type.slice(0, type.indexOf('/'))}/*`) || types.has('*'))
}

/** `Cache-Control: no-transform`, of a request or a response (RFC 9111 §5.2.1.6, §5.2.2.6). */
export function forbidsTransformation(cacheControl: string | undefined): boolean {
  return cacheControl !== undefined && /(?:^|[,\s])no-transform(?=$|[,\s])/i.test(cacheControl)
}

/** The fields of the same response with its body in `coding` and in chunks. */
export function codedFields(fields: readonly ResponseField[], coding: ContentCoding): ResponseField[] {
  const kept = fields.filter(([name]) => !OF_THE_PLAIN_BODY.has(name.toLowerCase())).map(weakenEntityTag)
  kept.push(['Content-Encoding', coding], ['Transfer-Encoding', 'chunked'])
  return varyingFields(kept)
}

/**
 * The fields of a 304: ETag and Vary as in the 200 that the client got (RFC 9110 §15.4.5); otherwise a cache in between
 * must not use the 304 for what it has stored (RFC 9111 §4.3.4). A 304 mostly has no type. The tag that the client
 * knows shows that the 200 is compressed: it is the application's tag, weak if the application's is strong.
 * `isCodable`: nothing in the request forbids a coding.
 */
export function notModifiedFields(
  { fields }: Pick<ResponseHead, 'fields'>,
  types: ReadonlySet<string>,
  ifNoneMatch: string | undefined,
  isCodable: boolean,
): ResponseField[] {
  if (fieldValue(fields, 'content-encoding') !== undefined) return fields
  if (forbidsTransformation(fieldValue(fields, 'cache-control'))) return fields
  const tag = fieldValue(fields, 'etag') ?? ''
  const isKnownWeak =
    tag.startsWith('"') && ifNoneMatch !== '*' && listsEntityTag(ifNoneMatch ?? '', `W/${tag}`, 'strong')
  if (!isKnownWeak && !isTypeAmong(fieldValue(fields, 'content-type'), types)) return fields
  return varyingFields(isKnownWeak && isCodable ? fields.map(weakenEntityTag) : fields)
}

/** With `Vary: Accept-Encoding`, unless it is there already. */
export function varyingFields(fields: ResponseField[]): ResponseField[] {
  const names = (fieldValue(fields, 'vary') ?? '').toLowerCase().split(',')
  if (names.some(name => name.trim() === 'accept-encoding' || name.trim() === '*')) return fields
  return [...fields, ['Vary', 'Accept-Encoding']]
}

/** These fields are about the bytes that were replaced. Ranges of the coded body are not available. */
const OF_THE_PLAIN_BODY: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'digest',
  'repr-digest',
  'transfer-encoding',
])

/** As nginx: the coded body is another representation, equivalent and not the same byte for byte (RFC 9110 §8.8.1). */
function weakenEntityTag(field: ResponseField): ResponseField {
  const [name, value] = field
  return name.toLowerCase() === 'etag' && value.startsWith('"') ? [name, `W/${value}`] : field
}

/** An identity that is not listed is acceptable, but after everything that is. */
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

/** An element with its weight: `gzip`, `br;q=0.8`, `*;q=0`. */
const ELEMENT = /^[ \t]*([!#$%&'*+\-.^_`|~\dA-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$/
