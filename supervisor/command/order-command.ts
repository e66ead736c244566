/**
 * `daimyo scale N`, `restart-worker SLOT`, `pause`, `resume` and `logs reopen`: one request to the running master, and
 * the wait for its end. Must stay true: the exit code is 0 only if the order was carried out.
 */

import { EXIT } from '../../kit/ground/failure.js'
import { askMaster } from '../control/control-client.js'
import type { ControlRequest } from '../control/control-protocol.js'
import type { CommandContext } from './command-context.js'
import { locateMaster, type MasterSought } from './locate-master.js'

export type OrderedRequest = Extract<
  ControlRequest,
  { command: 'scale' | 'restart-worker' | 'pause' | 'resume' | 'reopen-logs' }
>

/** A master that works on an order sends progress every other second, however long it takes. */
const silenceMs = 20_000

/**
 * Prints the steps and the new state; or the reason of the failure and the worker's last lines (1). Failures as
 * `locateMaster`.
 */
export async function orderCommand(
  sought: MasterSought,
  request: OrderedRequest,
  context: CommandContext,
): Promise<number> {
  const { socket, remark } = await locateMaster(sought, context.environment)
  context.writeError(remark)
  const onProgress = (text: string) => context.print(`${text}\n`)
  const done = await askMaster(socket, request, { silenceMs, onProgress })
  if (done.ok) {
    context.print(`${describe(request)}\n`)
    return EXIT.ok
  }
  context.writeError(`daimyo: ${request.command} failed: ${done.reason}\n`)
  for (const line of done.lines) context.writeError(`  ${line}\n`)
  return EXIT.failed
}

function describe(request: OrderedRequest): string {
  switch (request.command) {
    case 'scale':
      return request.wanted === 'auto' ? 'scaled: as configured' : `scaled: ${request.wanted} workers serve`
    case 'restart-worker':
      return `restarted: slot ${request.slot}`
    case 'pause':
      return 'paused: requests wait until `daimyo resume`'
    case 'resume':
      return 'resumed'
    case 'reopen-logs':
      return 'the logs are open again'
  }
}
