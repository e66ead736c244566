/**
 * Addresses to listen on, as uWSGI writes them: `:44444`, `127.0.0.1:44444`, `[::1]:44444`, `/run/x.sock`.
 * `listeners.ts` and the metrics endpoint open the sockets. Pure.
 */

import { isIPv4, isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import type { ListenAddress } from './value-types.js'

/** Longest path of a unix socket on Linux: `sun_path` has 108 bytes, the last one is NUL (unix(7)). */
export const SOCKET_PATH_BYTES = 107

/** What `parseListenAddress` accepts, for messages. */
export const ADDRESS_ACCEPTS =
  '`:port`, `address:port`, `[ipv6]:port`, the path of a unix socket with a `/` in it, or `fd://name` for a socket of systemd'
export const PEER_ADDRESS_ACCEPTS =
  '`:port`, `address:port`, `[ipv6]:port` or the path of a unix socket with a `/` in it'

const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*\.?$/i

export type ParsedAddress = { ok: true; value: ListenAddress } | { ok: false; hint: string | null }

/** How systemd's sockets are named; uWSGI and Gunicorn have the numbers (`fd://3`) only. */
const PASSED = 'fd://'

/** The names that systemd accepts for FileDescriptorName= (fdname_is_valid), without those that look like a path. */
const SOCKET_NAME = /^[\x21-\x7e]{1,255}$/

/** Reads an address; a relative socket path counts from `folder`. `hint` is the address that was probably meant. */
export function parseListenAddress(text: string, folder: string): ParsedAddress {
  if (text.startsWith(PASSED)) return parsePassed(text.slice(PASSED.length))
  if (text.includes('/')) return parseSocketPath(text, folder)
  if (/^\d{1,5}$/.test(text)) return { ok: false, hint: `:${text}` }
  if (/\.sock(et)?$/.test(text)) return { ok: false, hint: `./${text}` }
  const match = /^(?<host>.*):(?<port>\d{1,5})$/.exec(text)
  const host = readHost(match?.groups?.host)
  const port = Number(match?.groups?.port)
  if (match !== null && host === null && isIPv6(match.groups?.host ?? '')) {
    return { ok: false, hint: `[${match.groups?.host}]:${port}` }
  }
  if (host === null || !(port <= 65_535)) return { ok: false, hint: null }
  return { ok: true, value: { kind: 'tcp', host, port } }
}

/** The address as the INI writes it. */
export function printListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path
  if (address.kind === 'passed') return `${PASSED}${address.name}`
  return `${isWithColon(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/**
 * Whether the two cannot be listened on beside one another: they are the same, or one is all addresses of the other's
 * family. `[::]` beside an IPv4 address is IPv6 only (`listeners.ts`). Names are not looked up.
 */
export function overlaps(one: ListenAddress, other: ListenAddress): boolean {
  if (one.kind !== 'tcp' || other.kind !== 'tcp') return printListenAddress(one) === printListenAddress(other)
  if (one.port !== other.port || one.port === 0) return false
  const [host, otherHost] = [canonical(one.host), canonical(other.host)]
  return host === otherHost || isAllOf(host, otherHost) || isAllOf(otherHost, host)
}

function isAllOf(host: string, other: string): boolean {
  return (host === '0.0.0.0' && isIPv4(other)) || (host === '::' && isWithColon(other))
}

/** IPv6 in its one form (RFC 5952). */
function canonical(host: string): string {
  return isWithColon(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase()
}

/** Of a valid host: whether it is an IPv6 address. The first `isIPv6` of a process compiles an expression for 7 ms. */
export function isWithColon(host: string): boolean {
  return host.includes(':')
}

/** Whether only this machine can connect; what systemd passes may be anything. */
export function isPrivateAddress(address: ListenAddress): boolean {
  if (address.kind === 'passed') return false
  return address.kind === 'unix' || /^(127\.|::1$|localhost$)/.test(address.host)
}

function parsePassed(name: string): ParsedAddress {
  if (!SOCKET_NAME.test(name) || /[:/]/.test(name)) return { ok: false, hint: null }
  return { ok: true, value: { kind: 'passed', name } }
}

function parseSocketPath(text: string, folder: string): ParsedAddress {
  if (text.includes('://')) return { ok: false, hint: text.replace(/^.*?:\/\//, '').replace(/\/.*$/, '') || null }
  const path = resolve(folder, text)
  if (text.endsWith('/') || Buffer.byteLength(path) > SOCKET_PATH_BYTES) return { ok: false, hint: null }
  return { ok: true, value: { kind: 'unix', path } }
}

/** No host is every IPv4 address, as in uWSGI; an IPv6 address needs its brackets. */
function readHost(text: string | undefined): string | null {
  if (text === undefined) return null
  if (text === '' || text === '*') return '0.0.0.0'
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1]
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? inBrackets : null
  if (/^[\d.]+$/.test(text)) return isIPv4(text) ? text : null
  return HOST_NAME.test(text) ? text : null
}
