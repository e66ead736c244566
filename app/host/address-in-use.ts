/**
 * Says why a port of the application's own is in use: only the site's server is shared by the workers. Used by `take-over.ts`.
 */

import { EventEmitter, errorMonitor } from 'node:events'
import type { Server } from 'node:net'
import { constants } from 'node:os'
import type { Address } from './asked-address.js'

const WHY =
  'every worker of daimyo opens it by itself, and another one has it: only the site is shared by all of them, and a worker that is replaced runs beside its ' +
  'successor. Use port 0, or a process of its own such as attach-daemon'

/** Adds it to the error before anybody sees it. */
export function explainInUse(server: Server): void {
  const explain = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') return
    const { message, stack } = error
    error.message = `${message} (${WHY})`
    // The text of the stack was made with the error.
    error.stack = stack?.replace(message, () => error.message)
  }
  EventEmitter.prototype.once.call(server, errorMonitor, explain)
}

/** What Node says of an address that another server of the same process has; the site's, which is not open, is one of these. */
export function refuseInUse(server: Server, asked: Address): Server {
  const isPath = typeof asked === 'string'
  const where = isPath ? { address: asked } : { address: asked.address, port: asked.port }
  const place = isPath ? asked : `${asked.address}:${asked.port}`
  const error = new Error(`listen EADDRINUSE: address already in use ${place}`)
  Object.assign(error, { code: 'EADDRINUSE', errno: -constants.errno.EADDRINUSE, syscall: 'listen', ...where })
  process.nextTick(() => server.emit('error', error))
  return server
}
