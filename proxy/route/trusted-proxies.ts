/**
 * The peers whose forwarding fields are believed: the networks of `trusted-proxies`, compiled once for each
 * configuration. Asked for each request with such fields, and for each address of a chain.
 */

import { BlockList, isIPv6 } from 'node:net'
import type { RequestHead } from '../http/request-head.js'
import { type Believed, believe, type Origin } from './forwarded-fields.js'

/** A look-up in a BlockList takes 2.4 µs, so this many results are remembered. */
const REMEMBERED = 1024

/**
 * A client's connection. `overUnix`: it has no address, `address` is a stand-in. `isUnnamed`: it is that of a client
 * whom the proxy at `address` does not name.
 */
export interface Peer extends Origin {
  readonly overUnix?: boolean
  readonly isUnnamed?: boolean
}

export class TrustedProxies {
  readonly #networks = new BlockList()
  readonly #remembered = new Map<string, boolean>()
  readonly #trustsUnix: boolean

  /** As `kit/options/values/network.ts` accepted them. */
  constructor(networks: readonly string[]) {
    this.#trustsUnix = networks.includes('unix')
    for (const network of networks) if (network !== 'unix') this.#add(network)
  }

  /** The words of the peer about its client; null: the peer is not trusted. */
  judge(head: RequestHead, peer: Peer): Believed | null {
    return this.trustsPeer(peer) ? believe(head, peer, address => this.trusts(address)) : null
  }

  /** A client of a unix socket has no address to be checked, and a client that nobody names is a stranger. */
  trustsPeer({ address, overUnix, isUnnamed }: Omit<Peer, keyof Origin> & Pick<Peer, 'address'>): boolean {
    if (isUnnamed === true) return false
    return overUnix === true ? this.#trustsUnix : this.trusts(address)
  }

  /** `address` is valid and not IPv4-mapped. */
  trusts(address: string): boolean {
    const remembered = this.#remembered.get(address)
    if (remembered !== undefined) return remembered
    const isTrusted = this.#networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear()
    this.#remembered.set(address, isTrusted)
    return isTrusted
  }

  #add(network: string): void {
    const [address = '', bits] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) this.#networks.addAddress(address, family)
    else this.#networks.addSubnet(address, Number(bits), family)
  }
}

/** null if nobody is trusted, so that no request pays for it. */
export function trustedProxies(networks: readonly string[]): TrustedProxies | null {
  return networks.length === 0 ? null : new TrustedProxies(networks)
}
