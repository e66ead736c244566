/** `daimyo status [INI] [--json]`: the report of the running master. */

import { EXIT } from '../../kit/ground/failure.js'
import { printStatus } from '../screen/status-table.js'
import type { CommandContext } from './command-context.js'
import { locateMaster, type MasterSought } from './locate-master.js'

/** Prints the report, as a table or as JSON; Failure `not-running` (69) when there is none. */
export async function statusCommand(sought: MasterSought, json: boolean, context: CommandContext): Promise<number> {
  const { report, remark } = await locateMaster(sought, context.environment)
  context.writeError(remark)
  context.print(json ? `${JSON.stringify(report, null, 2)}\n` : printStatus(report, Date.now()))
  return EXIT.ok
}
