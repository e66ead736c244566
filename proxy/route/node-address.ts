/**
 * Addresses as X-Forwarded-For and Forwarded write them: with or without a port, IPv6 with or without brackets. Pure.
 */

import { isIPv4, isIPv6 } from 'node:net'

export interface NodeAddress {
  /** IPv4, also if it came as IPv4-mapped IPv6, or IPv6 without brackets. */
  address: string
  /** 0: not told. */
  port: number
}

const FOUR = /^([\d.]{7,15})(?::(\d{1,5}))?$/
const SIX_IN_BRACKETS = /^\[([\dA-Fa-f:.]{2,45})\](?::(\d{1,5}))?$/
const SIX = /^[\dA-Fa-f:.]{2,45}$/

/** RFC 7239 §6 and the usual forms of X-Forwarded-For; null: `unknown`, a name, or anything else. */
export function readNodeAddress(text: string): NodeAddress | null {
  const [, four, fourPort = '0'] = FOUR.exec(text) ?? []
  if (four !== undefined) return isIPv4(four) && Number(fourPort) <= 65_535 ? made(four, fourPort) : null
  const [, six, sixPort = '0'] = SIX_IN_BRACKETS.exec(text) ?? []
  if (six !== undefined) return isIPv6(six) && Number(sixPort) <= 65_535 ? made(six, sixPort) : null
  return SIX.test(text) && isIPv6(text) ? made(text, '0') : null
}

/** IPv4 clients of a dual-stack listener come as `::ffff:192.0.2.1`. */
export function withoutMapping(address: string): string {
  return /^::ffff:[\d.]+$/i.test(address) ? address.slice(7) : address
}

function made(address: string, port: string): NodeAddress {
  return { address: withoutMapping(address), port: Number(port) }
}
