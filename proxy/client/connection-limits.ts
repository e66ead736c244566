/** Limits of a connection, and the number of connections of an address. */

import type { Socket } from 'node:net'
import type { ProxySettings } from '../../kit/channel/messages.js'
import { clientKey } from '../../kit/ground/client-key.js'
import { withoutMapping } from '../route/node-address.js'

const LIMITS = [
  'bufferSizeBytes',
  'httpHeaderCount',
  'httpUriSizeBytes',
  'httpHeaderTimeoutMs',
  'httpKeepaliveMs',
  'httpKeepaliveRequests',
  'httpKeepaliveTimeMs',
  'httpBodyTimeoutMs',
  'httpBodyMinRateBytesPerSecond',
  'httpSendTimeoutMs',
  'httpHalfCloseTimeoutMs',
] as const satisfies (keyof ProxySettings)[]

/** Limits of each connection, changed in place when the configuration changes. Times in milliseconds; 0 = none. */
export type ConnectionLimits = Pick<ProxySettings, (typeof LIMITS)[number]>

/** `httpKeepaliveRequests` is infinite if there is no limit. */
export function connectionLimits(settings: ProxySettings): ConnectionLimits {
  const limits = Object.fromEntries(LIMITS.map(name => [name, settings[name]])) as ConnectionLimits
  const { httpKeepaliveRequests } = limits
  return {
    ...limits,
    httpKeepaliveRequests: httpKeepaliveRequests === 0 ? Number.POSITIVE_INFINITY : httpKeepaliveRequests,
  }
}

/** null: a client of a unix socket, or one that has reset its connection. */
export function clientAddress(socket: Socket): string | null {
  const { remoteAddress } = socket
  return remoteAddress === undefined ? null : withoutMapping(remoteAddress)
}

/**
 * A number that changes whenever the kernel takes bytes: the bytes of finished writes, less those of the write under
 * way that libuv still holds.
 */
export function takenBytes(socket: Socket): number {
  const { _handle } = socket as unknown as { _handle?: { writeQueueSize?: number } | null }
  return socket.bytesWritten - socket.writableLength - (_handle?.writeQueueSize ?? 0)
}

/** Open connections per client. An IPv6 client owns at least a /64, so connections are counted per /64. */
export class AddressCounts {
  readonly #counts = new Map<string, number>()

  /** The number of open connections of this client, the new one included. */
  enter(address: string): number {
    const client = clientKey(address)
    const count = (this.#counts.get(client) ?? 0) + 1
    this.#counts.set(client, count)
    return count
  }

  leave(address: string): void {
    const client = clientKey(address)
    const count = (this.#counts.get(client) ?? 0) - 1
    if (count > 0) this.#counts.set(client, count)
    else this.#counts.delete(client)
  }
}
