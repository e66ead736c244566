/** The near end of a client's connection, as an application sees it: where its own server listens. Used by both kinds of sockets that it is given. */

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Empty on a unix path, as in Node. */
export type LocalAddress = Partial<AddressInfo>

export function addressOf(server: Server): LocalAddress {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address : {}
}
