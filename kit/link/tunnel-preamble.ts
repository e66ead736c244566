/**
 * The line with which a proxy begins a tunnel's connection to a worker: who the client is. What follows it is HTTP/1.1,
 * to the application's own parser.
 *
 *     TUNNEL 203.0.113.7 51234 tls\n
 *
 * Must stay true: a worker believes the line only on its tunnel socket, which only the service's user can open. On the
 * application's socket it is a request line, which Node's parser refuses.
 */

import { isIP } from 'node:net'

/** A client as the proxy sees it; `address` is an IP address. */
export interface TunnelPeer {
  address: string
  port: number
  encrypted: boolean
}

/** The longest line there can be: an IPv6 address with a zone, a port. */
export const MAX_PREAMBLE_BYTES = 128

const LINE_FEED = 10
const LINE = /^TUNNEL (\S+) (\d{1,5}) (tcp|tls)$/

/** The line, in latin1. */
export function printPreamble({ address, port, encrypted }: TunnelPeer): string {
  return `TUNNEL ${address} ${port} ${encrypted ? 'tls' : 'tcp'}\n`
}

/** The peer and how many bytes its line took; `more`: the line is not complete; `bad`: it is no such line. */
export function readPreamble(bytes: Buffer): { peer: TunnelPeer; length: number } | 'more' | 'bad' {
  const end = bytes.indexOf(LINE_FEED)
  if (end < 0) return bytes.length < MAX_PREAMBLE_BYTES ? 'more' : 'bad'
  const [, address = '', port = '', way] = LINE.exec(bytes.latin1Slice(0, Math.min(end, MAX_PREAMBLE_BYTES))) ?? []
  if (isIP(address) === 0 || Number(port) > 65_535) return 'bad'
  return { peer: { address, port: Number(port), encrypted: way === 'tls' }, length: end + 1 }
}
