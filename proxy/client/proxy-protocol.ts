/**
 * The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): the header before the first request, in which
 * a proxy in front names its client. Only a trusted proxy is read so (`http-enable-proxy-protocol`). Pure.
 *
 * A header that the specification refuses is refused here, and of version 1 also one with control characters behind
 * UNKNOWN. The fields behind the addresses of version 2 (TLV) are skipped, the checksum too.
 */

import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { REFUSALS, type Refusal } from '../http/refusal.js'
import { type NodeAddress, withoutMapping } from '../route/node-address.js'

/** With the CRLF, as the specification says. */
export const MOST_V1_BYTES = 107
/**
 * The specification allows 65,551 bytes and recommends 552 at most. Fields about TLS, and the id of a connection, make
 * headers longer than that. nginx reads as many bytes.
 */
export const MOST_V2_BYTES = 4096

export interface ProxyHeader {
  /**
   * `itself`: the connection is the proxy's own (LOCAL). `unknown`: it is passed on for a client that has no address,
   * or none that we can use.
   */
  readonly client: NodeAddress | 'itself' | 'unknown'
  readonly bytes: number
}

const BAD = REFUSALS['bad-proxy-header']

const V1_BEGIN = 'PROXY '
const V1_UNKNOWN = /^PROXY UNKNOWN(?: |$)/
const V1_TCP = /^PROXY TCP([46]) ([\dA-Fa-f.:]+) ([\dA-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/
/** So far, with or without the first half of its CRLF. */
const V1_LINE = /^[\x20-\x7e]*\r?$/

const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_FIXED_BYTES = 16
const V2_LOCAL = 0x20
const V2_PROXY = 0x21
const V2_TCP4 = 0x11
const V2_TCP6 = 0x21
/** Family and transport in one byte, and the length of their addresses. Other bytes are refused. */
const V2_ADDRESS_BYTES = new Map([
  [0x00, 0],
  [V2_TCP4, 12],
  [0x12, 12],
  [V2_TCP6, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
])

/** The header at the front of the first `count` bytes; null: it is not complete yet. */
export function readProxyHeader(bytes: Buffer, count: number): ProxyHeader | Refusal | null {
  if (count === 0) return null
  return bytes[0] === V2_SIGNATURE[0] ? readV2(bytes, count) : readV1(bytes, count)
}

/** Reads the header of one connection, in whatever pieces it comes. */
export class ProxyHeaderReader {
  #begun: Buffer | null = null

  /**
   * With the next piece, the first `count` bytes of `bytes`, which are not kept. `bytes` of the header then counts
   * those of this piece alone.
   */
  read(bytes: Buffer, count: number): ProxyHeader | Refusal | null {
    const begun = this.#begun
    if (begun === null) {
      const header = readProxyHeader(bytes, count)
      if (header === null) this.#begun = Buffer.from(bytes.subarray(0, count))
      return header
    }
    const piece = bytes.subarray(0, Math.min(count, MOST_V2_BYTES - begun.length))
    const joined = Buffer.concat([begun, piece])
    const header = readProxyHeader(joined, joined.length)
    if (header === null) this.#begun = joined
    return header === null || 'refused' in header ? header : { ...header, bytes: header.bytes - begun.length }
  }
}

function readV1(bytes: Buffer, count: number): ProxyHeader | Refusal | null {
  const text = bytes.latin1Slice(0, Math.min(count, MOST_V1_BYTES))
  const end = text.indexOf('\r\n')
  const line = end < 0 ? text : text.slice(0, end)
  if (!V1_LINE.test(line) || !line.startsWith(V1_BEGIN.slice(0, line.length))) return BAD
  if (end < 0) return text.length < MOST_V1_BYTES ? null : BAD
  const client = V1_UNKNOWN.test(line) ? 'unknown' : clientOfV1(line)
  return client === null ? BAD : { client, bytes: end + 2 }
}

/** null: the line is not valid. */
function clientOfV1(line: string): NodeAddress | null {
  const [, version, source = '', destination = '', sourcePort, destinationPort] = V1_TCP.exec(line) ?? []
  const isAddress = version === '4' ? isIPv4 : isIPv6
  if (version === undefined || !isAddress(source) || !isAddress(destination)) return null
  if (Number(sourcePort) > 65_535 || Number(destinationPort) > 65_535) return null
  return { address: version === '4' ? source : shortest(source), port: Number(sourcePort) }
}

function readV2(bytes: Buffer, count: number): ProxyHeader | Refusal | null {
  const known = Math.min(count, V2_SIGNATURE.length)
  if (bytes.compare(V2_SIGNATURE, 0, known, 0, known) !== 0) return BAD
  if (count < V2_FIXED_BYTES) return null
  const command = bytes[12]
  const family = bytes[13] ?? 0
  const length = bytes.readUInt16BE(14)
  const end = V2_FIXED_BYTES + length
  if ((command !== V2_LOCAL && command !== V2_PROXY) || end > MOST_V2_BYTES) return BAD
  // The family of LOCAL is ignored, whatever it is.
  const addressBytes = command === V2_LOCAL ? 0 : V2_ADDRESS_BYTES.get(family)
  if (addressBytes === undefined || length < addressBytes) return BAD
  if (count < end) return null
  return { client: command === V2_LOCAL ? 'itself' : clientOfV2(bytes, family), bytes: end }
}

/** Source address, destination address, source port, destination port. */
function clientOfV2(bytes: Buffer, family: number): NodeAddress | 'unknown' {
  if (family === V2_TCP4)
    return { address: bytes.subarray(16, 20).join('.'), port: bytes.readUInt16BE(V2_FIXED_BYTES + 8) }
  if (family !== V2_TCP6) return 'unknown'
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(V2_FIXED_BYTES + 2 * index).toString(16))
  return { address: shortest(groups.join(':')), port: bytes.readUInt16BE(V2_FIXED_BYTES + 32) }
}

/** As the kernel prints it (RFC 5952), so that one client has one name. */
function shortest(address: string): string {
  return withoutMapping(new SocketAddress({ address, family: 'ipv6' }).address)
}
