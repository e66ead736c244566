/**
 * What the requests on the control socket do to the master. Called by `control-socket.ts`, composed by `run-command.ts`.
 */

import type { ControlRequest } from './control-protocol.js'
import type { ControlHandler } from './control-socket.js'
import type { Master } from './master.js'
import type { Order } from './orders.js'

/** The part of the master that a command may use. */
export type Commanded = Pick<Master, 'status' | 'reload' | 'order' | 'stop' | 'reopenLogs'>

/** A client gives up on a silent master: while a long thing runs it hears of it this often. */
const STILL_MS = 4000

/** A handler for `startControlSocket`. `reload` and `stop` answer when it has happened. */
export function controlHandler(master: Commanded): ControlHandler {
  return async (request, progress) => {
    switch (request.command) {
      case 'status':
        return { type: 'done', ok: true, status: master.status() }
      case 'reopen-logs':
        master.reopenLogs()
        return { type: 'done', ok: true }
      case 'stop':
        await untilDone(master.stop('control'), () => progress(describeStop(master)))
        return { type: 'done', ok: true }
      case 'scale':
      case 'restart-worker':
      case 'pause':
      case 'resume': {
        const outcome = await untilDone(master.order(orderOf(request), progress), () => progress('still at it'))
        return { type: 'done', ...outcome }
      }
      case 'reload': {
        const outcome = await untilDone(master.reload(progress), () => progress('still reloading'))
        if (!outcome.ok) return { type: 'done', ok: false, reason: outcome.reason, lines: outcome.lines }
        return { type: 'done', ok: true, status: master.status() }
      }
    }
  }
}

function orderOf(request: Extract<ControlRequest, { command: Order['type'] }>): Order {
  switch (request.command) {
    case 'scale':
      return { type: 'scale', wanted: request.wanted }
    case 'restart-worker':
      return { type: 'restart-worker', slot: request.slot }
    default:
      return { type: request.command }
  }
}

async function untilDone<T>(thing: Promise<T>, still: () => void): Promise<T> {
  const timer = setInterval(still, STILL_MS)
  try {
    return await thing
  } finally {
    clearInterval(timer)
  }
}

function describeStop(master: Commanded): string {
  const { workers, proxies } = master.status()
  return `stopping: ${proxies.length} proxies and ${workers.length} workers are left`
}
