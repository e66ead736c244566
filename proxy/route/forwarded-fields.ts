/**
 * The fields that tell an upstream about the client: X-Forwarded-For, -Proto and -Host and X-Request-Id. They replace
 * the fields that the client sent under these names (the parser has taken those out of `headers`), unless the client is
 * a trusted proxy: then its chain is extended. For every upstream: a worker, its WebSocket or a foreign one. Pure.
 *
 * A malformed field of a trusted proxy counts as not sent. X-Forwarded-For is read from the right, as nginx does with
 * `real_ip_recursive`: the first address that is not trusted is the client. An element that is no address ends the
 * chain, and the elements before it go no further. X-Forwarded-Host and -Port may be lists, to which each proxy has
 * added its own: they go on whole, as in nginx, and applications read the first. If the list of X-Forwarded-Proto is as
 * long as that of the addresses, the client's element is taken; in any other list nobody knows which one it is. Any
 * other X-Forwarded-*, X-Real-IP and Forwarded are passed on only if a trusted proxy sent them, and Forwarded only if
 * it names the same client as X-Forwarded-For: many proxies extend one of these fields and pass on the other unread.
 */

import { randomBytes } from 'node:crypto'
import { isHost, type RequestHead } from '../http/request-head.js'
import { type ForwardedElement, printForwarded, readForwarded } from './forwarded-element.js'
import { type NodeAddress, readNodeAddress } from './node-address.js'

/**
 * X-Request-Id: the id by which an operator finds one request in the logs of all programs that had it. Unique, not
 * unguessable: 48 random bits of the process, then a counter in base 36. Making one costs 12 to 25 ns (Node 20): its
 * last two digits come from a table and the rest is made anew only when they overflow; `toString(36)` alone takes 50
 * ns.
 */
const PREFIX = `${randomBytes(6).readUIntBE(0, 6).toString(36).padStart(10, '0')}-`
const BASE = 36
const TAILS = Array.from({ length: BASE * BASE }, (_, value) => value.toString(BASE).padStart(2, '0'))
const WELL_FORMED = /^[\w.:+/=@-]{1,128}$/

let stem = ''
let stems = 0
let tail = TAILS.length

/** The client, as far as it is believed. */
export interface Origin {
  readonly address: string
  /** 0: not known. */
  readonly port: number
  /** The client's own connection is TLS, as far as the proxy or trusted proxies know. */
  readonly encrypted: boolean
}

/** The words of a trusted proxy, made fit to be passed on. */
export interface Believed extends Origin {
  /** `\nname\nvalue` for each field that goes on. */
  readonly fields: string
  readonly requestId: string | null
}

/** The fields of `head` with the proxy's own behind them, in the wire form of the link. */
export function wireHeaders(head: RequestHead, origin: Origin, believed: Believed | null, requestId: string): string {
  if (believed !== null) return `${head.headers}${believed.fields}\nX-Request-Id\n${requestId}`
  const proto = origin.encrypted ? 'https' : 'http'
  const host = head.host === '' ? '' : `\nX-Forwarded-Host\n${head.host}`
  return `${head.headers}\nX-Forwarded-For\n${origin.address}\nX-Forwarded-Proto\n${proto}${host}\nX-Request-Id\n${requestId}`
}

/**
 * A gateway to another server must add Via to requests (RFC 9110 §7.6.3), behind the entries of earlier proxies. In the
 * wire form of the link. In responses Via is optional, and left out: it would tell strangers what runs here.
 */
export function viaField({ httpMinor }: RequestHead): string {
  return `\nVia\n1.${httpMinor} daimyo`
}

/** The believed words of a trusted proxy about a request. */
export function believe(head: RequestHead, peer: Origin, trusts: (address: string) => boolean): Believed {
  const said = fieldsByName(head.forwarding ?? [])
  const chain = readChain(said.get('x-forwarded-for'))
  const client = clientOf(chain, trusts)
  const forwarded = believeForwarded(said, client, trusts)
  const hops = said.has('x-forwarded-for') || forwarded === null ? chain : forwarded.chain
  const origin = client ?? forwarded?.client ?? peer
  const ownProto = peer.encrypted ? 'https' : 'http'
  const saidProto = said.get('x-forwarded-proto')
  const proto =
    readProto(single(saidProto)) ??
    readProto(ofClient(saidProto, said.get('x-forwarded-for'), chain, client)) ??
    readProto(forwarded?.element.proto) ??
    ownProto
  const host = readList(said.get('x-forwarded-host'), isHost) ?? readHost(forwarded?.element.host) ?? head.host
  const fields: [name: string, value: string | null][] = [
    ['X-Forwarded-For', [...hops.map(hop => hop.text), peer.address].join(', ')],
    ['X-Forwarded-Proto', proto],
    ['X-Forwarded-Host', host === '' ? null : host],
    ['X-Forwarded-Port', readList(said.get('x-forwarded-port'), isPort)],
    ['X-Real-IP', said.has('x-real-ip') ? origin.address : null],
    [
      'Forwarded',
      forwarded === null ? null : `${forwarded.text}, ${printForwarded(peer.address, ownProto, head.host)}`,
    ],
  ]
  const requestId = said.get('x-request-id')
  return {
    address: origin.address,
    port: origin.port,
    encrypted: proto === 'https' || proto === 'wss',
    fields:
      fields.map(([name, value]) => (value === null ? '' : `\n${name}\n${value}`)).join('') +
      others(head.forwarding ?? []),
    requestId: requestId !== undefined && isRequestId(requestId) ? requestId : null,
  }
}

/** X-Forwarded-Prefix and other fields that only applications know, as they came. */
function others(forwarding: readonly string[]): string {
  let fields = ''
  for (let index = 0; index < forwarding.length; index += 2) {
    const name = forwarding[index] ?? ''
    if (OTHER.test(name)) fields += `\n${name}\n${forwarding[index + 1]}`
  }
  return fields
}

const OTHER = /^x-forwarded-(?!(?:for|proto|host|port)$)/i

interface Hop extends NodeAddress {
  /** As it came. */
  text: string
}

interface BelievedForwarded {
  text: string
  chain: Hop[]
  client: Hop | null
  /** What was said of the client's own request. */
  element: ForwardedElement
}

/** By lower-case name; the lines of one name joined, as RFC 9110 §5.3 reads them. */
function fieldsByName(forwarding: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>()
  for (let index = 0; index < forwarding.length; index += 2) {
    const name = (forwarding[index] ?? '').toLowerCase()
    const earlier = fields.get(name)
    const value = forwarding[index + 1] ?? ''
    fields.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return fields
}

/** The addresses at the right end of the list, up to the first element that is no address. */
function readChain(value: string | undefined): Hop[] {
  const chain: Hop[] = []
  for (const text of (value ?? '').split(',').reverse()) {
    const trimmed = text.trim()
    const node = readNodeAddress(trimmed)
    if (node === null) break
    chain.unshift({ ...node, text: trimmed })
  }
  return chain
}

/** The last address that is not trusted; if all are trusted, the first one. */
function clientOf(chain: readonly Hop[], trusts: (address: string) => boolean): Hop | null {
  return chain.findLast(hop => !trusts(hop.address)) ?? chain[0] ?? null
}

/** Forwarded, if it is well-formed and agrees with X-Forwarded-For about the client. */
function believeForwarded(
  said: Map<string, string>,
  known: Hop | null,
  trusts: (address: string) => boolean,
): BelievedForwarded | null {
  const text = said.get('forwarded')
  const elements = text === undefined ? null : readForwarded(text)
  if (text === undefined || elements === null) return null
  const chain: Hop[] = []
  // From the right, as X-Forwarded-For: `unknown` ends it.
  for (const element of elements.toReversed()) {
    const node = element.for === null ? null : readNodeAddress(element.for)
    if (node === null) break
    chain.unshift({ ...node, text: node.address })
  }
  const client = clientOf(chain, trusts)
  if (said.has('x-forwarded-for') && client?.address !== known?.address) return null
  const index = client === null ? elements.length - 1 : elements.length - chain.length + chain.indexOf(client)
  return { text, chain, client, element: elements[index]! }
}

/** Proxies behind each other may each have added the same. If they differ, nobody knows which one is the client's. */
function single(value: string | null | undefined): string | undefined {
  const [first, ...more] = partsOf(value)
  return more.every(other => other.toLowerCase() === first?.toLowerCase()) ? first : undefined
}

/** Unless the list has an element for each address: then the one at the place of `client`. */
function ofClient(
  value: string | undefined,
  addresses: string | undefined,
  chain: readonly Hop[],
  client: Hop | null,
): string | undefined {
  const [parts, hops] = [partsOf(value), partsOf(addresses)]
  if (client === null || parts.length !== hops.length) return undefined
  return parts[hops.length - chain.length + chain.indexOf(client)]
}

function readProto(value: string | null | undefined): string | null {
  const proto = value?.toLowerCase()
  return proto === 'http' || proto === 'https' || proto === 'ws' || proto === 'wss' ? proto : null
}

function readHost(value: string | null | undefined): string | null {
  return typeof value === 'string' && isHost(value) ? value : null
}

/** The whole list, or the value that all its elements share; null: an element is malformed. */
function readList(value: string | null | undefined, isGood: (part: string) => boolean): string | null {
  const parts = partsOf(value)
  return parts.every(isGood) ? (single(value) ?? parts.join(', ')) : null
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
}

function partsOf(value: string | null | undefined): string[] {
  return (value ?? '').split(',').map(part => part.trim())
}

/** Different from all ids before. */
export function nextRequestId(): string {
  if (tail === TAILS.length) {
    stem = PREFIX + stems.toString(BASE)
    stems += 1
    tail = 0
  }
  const id = stem + TAILS[tail]
  tail += 1
  return id
}

/** Whether an id from outside may be kept: bounded, and harmless in a log and in a URL. */
export function isRequestId(text: string): boolean {
  return WELL_FORMED.test(text)
}
