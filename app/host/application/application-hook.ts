/**
 * What daimyo offers to the application that it runs: `globalThis.daimyo`. Installed before the application is loaded.
 * Under bare `node` there is no such thing, so applications write `globalThis.daimyo?.harakiri(request, seconds)`.
 * Described at `mount-harakiri`.
 */

import { IncomingMessage } from 'node:http'
import { VirtualSocket } from '../request/virtual-socket.js'

/** A day; a request that needs longer may have no deadline at all. */
const MOST_SECONDS = 86_400

/**
 * Makes the hook known. It is not among the enumerable names of the global object, and an application may replace it.
 */
export function installHook(): void {
  const value = Object.freeze({ harakiri })
  Object.defineProperty(globalThis, 'daimyo', { value, configurable: true, writable: true })
}

/**
 * The deadline of the request is this many seconds from now, 0: it has none. As uWSGI's `set_user_harakiri`, but for
 * one request, and in place of `harakiri`. No effect on a request whose response is complete, or that did not come
 * through a proxy. TypeError: not a request. RangeError: not such a time.
 */
function harakiri(request: IncomingMessage, seconds: number): void {
  if (!(request instanceof IncomingMessage))
    throw new TypeError("daimyo.harakiri: received another request: accepted Node's own IncomingMessage")
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= MOST_SECONDS))
    throw new RangeError(`daimyo.harakiri: received ${String(seconds)}: accepted seconds from 0 to ${MOST_SECONDS}`)
  if (request.socket instanceof VirtualSocket) request.socket.setHarakiri(Math.ceil(seconds * 1000))
}
