/**
 * `daimyo reload [INI]`: asks the master for a rolling reload and waits for its end, or, with `--no-wait`, until the
 * master has received the request. Must stay true: a waiting command ends with 0 only if the new workers serve.
 */

import { EXIT } from '../../kit/ground/failure.js'
import { askMaster } from '../control/control-client.js'
import type { CommandContext } from './command-context.js'
import { locateMaster, type MasterSought } from './locate-master.js'

/** A master that reloads sends progress every other second, however long it takes. */
const silenceMs = 20_000

/**
 * Prints the steps, then `reloaded`, or the reason of the failure and the worker's last lines (1). Failures as
 * `locateMaster`.
 */
export async function reloadCommand(sought: MasterSought, waits: boolean, context: CommandContext): Promise<number> {
  const { socket, remark } = await locateMaster(sought, context.environment)
  context.writeError(remark)
  const onProgress = (text: string) => context.print(`${text}\n`)
  const done = await askMaster(socket, { command: 'reload' }, { silenceMs, onProgress, leaves: !waits })
  if (done.ok) {
    if (waits) context.print('reloaded\n')
    return EXIT.ok
  }
  context.writeError(`daimyo: reload failed: ${done.reason}\n`)
  for (const line of done.lines) context.writeError(`  ${line}\n`)
  return EXIT.failed
}
