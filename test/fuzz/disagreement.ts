/**
 * Whether our reading of a client's bytes can be told from Node's: whatever we take, Node must take too, and read as the same
 * request with the same end. What Node takes and we refuse is no disagreement. The documented changes of `request-head.ts`
 * are written here a second time, in the plainest way. Used by the comparing test and the fuzzing program.
 */

import type { NodeReading, NodeRequest } from './node-reader.js'
import type { OurRequest } from './request-reading.js'

/** The first difference that matters, printable; null: none. */
export function disagreement(ours: OurRequest[], node: NodeReading): string | null {
  for (const [index, our] of ours.entries()) {
    const theirs = node.requests[index]
    if (theirs === undefined) return `request ${index}: taken by us, refused by node: ${node.refusal}`
    const difference = headDifference(our, theirs) ?? bodyDifference(our, theirs)
    if (difference !== null) return `request ${index}: ${difference}`
    // Node may have closed, or wait for another protocol after an Upgrade with a body: what follows is not comparable.
    if (hasField(theirs, 'proxy-connection') || hasField(theirs, 'upgrade')) return null
  }
  return null
}

function headDifference({ head }: OurRequest, theirs: NodeRequest): string | null {
  const expected = expectedFields(theirs)
  return (
    different('method', head.method, theirs.method) ??
    different('target', head.target, expectedTarget(theirs)) ??
    different('version', head.httpMinor, theirs.httpMinor) ??
    different('fields', head.headers, expected.headers) ??
    different('forwarding', head.forwarding ?? [], expected.forwarding) ??
    keepAliveDifference(head.keepAlive, theirs)
  )
}

/**
 * Node takes Proxy-Connection for Connection; to us it says nothing (RFC 9112 appendix C.2.2). In HTTP/1.0 Node lets keep-alive
 * win over close; RFC 9112 §9.3 says the opposite, and closing is never wrong.
 */
function keepAliveDifference(ours: boolean, theirs: NodeRequest): string | null {
  const mayDiffer = hasField(theirs, 'proxy-connection') || (theirs.httpMinor === 0 && !ours)
  return mayDiffer ? null : different('keep-alive', ours, theirs.keepAlive)
}

function bodyDifference(our: OurRequest, theirs: NodeRequest): string | null {
  // Of a body that is refused, by us for more reasons than by Node, nothing is believed.
  if (our.refused) return null
  return (
    different('refusal', our.refused, theirs.refused) ??
    different('body', our.body, theirs.body) ??
    different('end', our.complete, theirs.complete) ??
    different('trailers', our.trailers, expectedTrailers(theirs.trailers))
  )
}

function different(what: string, ours: unknown, theirs: unknown): string | null {
  const [our, their] = [JSON.stringify(ours), JSON.stringify(theirs)]
  return our === their ? null : `${what}: ours ${our}, node's ${their}`
}

function expectedTarget({ method, target }: NodeRequest): string {
  const path = target.replace(/^https?:\/\/[^/?]+/i, '')
  if (path === '' && method === 'OPTIONS') return '*'
  return path === '' || path.startsWith('?') ? `/${path}` : path
}

const FORWARDING = /^(?:forwarded|x[-_]real[-_]ip|x[-_]request[-_]id|x[-_]forwarded[-_].+)$/i
const TWIN = /^(?:x_|x-real_|x-request_|x-forwarded_)/i
const HOP_BY_HOP = /^(?:connection|keep-alive|proxy-connection|te|upgrade|proxy-authorization)$/i
const NEVER_NOMINATED = /^(?:host|content-length|transfer-encoding|expect)$/i
const NOT_IN_TRAILERS = /^(?:expires|expect|cookie|trailer)$/i

function expectedFields({ rawHeaders, target, httpMinor }: NodeRequest): { headers: string; forwarding: string[] } {
  const fields = pairs(rawHeaders)
  const nominated = fields
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(/[ \t]*,[ \t]*/))
    .filter(name => !NEVER_NOMINATED.test(name))
  const kept = fields.filter(
    ([name]) => !nominated.includes(name.toLowerCase()) && !HOP_BY_HOP.test(name) && !FORWARDING.test(name),
  )
  const [, scheme = '', authority] = /^(https?):\/\/([^/?]+)/i.exec(target) ?? []
  const host = kept.find(([name]) => name.toLowerCase() === 'host')
  if (authority !== undefined && host === undefined && httpMinor === 0) kept.unshift(['Host', authority])
  // RFC 9112 §3.2.2: the target wins.
  if (authority !== undefined && host !== undefined && !isSameHost(host[1], authority, scheme)) host[1] = authority
  return {
    headers: kept.map(([name, value]) => `\n${name}\n${value}`).join(''),
    forwarding: fields.filter(([name]) => FORWARDING.test(name) && !TWIN.test(name)).flat(),
  }
}

function isSameHost(host: string, authority: string, scheme: string): boolean {
  const port = scheme.toLowerCase() === 'http' ? /:80$/ : /:443$/
  return host.toLowerCase().replace(port, '') === authority.toLowerCase().replace(port, '')
}

function expectedTrailers(rawTrailers: string[]): string[] {
  return pairs(rawTrailers)
    .filter(([name]) => !HOP_BY_HOP.test(name) && !FORWARDING.test(name) && !NOT_IN_TRAILERS.test(name))
    .flat()
}

function hasField({ rawHeaders }: NodeRequest, lowerCaseName: string): boolean {
  return pairs(rawHeaders).some(([name]) => name.toLowerCase() === lowerCaseName)
}

function pairs(flat: string[]): [name: string, value: string][] {
  const all: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) all.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return all
}
