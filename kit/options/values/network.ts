/** One network as an operator writes it: `unix`, an address, or an address with a prefix length (CIDR). Pure. */

import { isIP } from 'node:net'

const BITS = { 4: 32, 6: 128 }

/** The network as written, or a refusal; `hint` is the network that an address with too many bits set lies in. */
export function readNetwork(text: string): { ok: true; value: string } | { ok: false; hint: string | null } {
  if (text === 'unix') return { ok: true, value: text }
  const [, address = '', prefix] = /^([\dA-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version !== 4 && version !== 6) return { ok: false, hint: null }
  if (prefix === undefined) return { ok: true, value: text }
  const bits = Number(prefix)
  if (bits > BITS[version]) return { ok: false, hint: null }
  const network = version === 4 ? networkOfFour(address, bits) : networkOfSix(address, bits)
  // An address with bits of a host says one of two things, and trust must not be guessed.
  return network === null ? { ok: true, value: text } : { ok: false, hint: `${network}/${bits}` }
}

/** The network of the address, null when it is one already. */
function networkOfFour(address: string, bits: number): string | null {
  const parts = address.split('.').map((part, index) => Number(part) & byteMask(bits - 8 * index))
  const network = parts.join('.')
  return network === address ? null : network
}

function networkOfSix(address: string, bits: number): string | null {
  const groups = groupsOf(address)
  const kept = groups.map((group, index) => group & groupMask(bits - 16 * index))
  return kept.every((group, index) => group === groups[index]) ? null : shorten(kept)
}

function byteMask(bits: number): number {
  return bits >= 8 ? 255 : bits <= 0 ? 0 : (255 << (8 - bits)) & 255
}

function groupMask(bits: number): number {
  return bits >= 16 ? 0xffff : bits <= 0 ? 0 : (0xffff << (16 - bits)) & 0xffff
}

/** The eight groups of an IPv6 address; the URL parser writes an IPv4 tail as two of them. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16)))
  const [before, after] = [numbers(head), numbers(tail ?? '')]
  return tail === undefined ? before : [...before, ...new Array(8 - before.length - after.length).fill(0), ...after]
}

function shorten(groups: number[]): string {
  return new URL(`http://[${groups.map(group => group.toString(16)).join(':')}]`).hostname.slice(1, -1)
}
