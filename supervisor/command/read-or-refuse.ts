/** Reads the configuration for a command that needs a valid one: remarks are printed, mistakes end the command. */

import { EXIT, Failure } from '../../kit/ground/failure.js'
import type { Reading, Settings } from '../config/values/settings.js'
import { describeFindings } from '../help/describe-check.js'
import type { CommandContext } from './command-context.js'

/** The settings; all mistakes at once as one `config` Failure (78). `what` begins its last line. */
export function readOrRefuse(reading: Reading, what: string, context: CommandContext): Settings {
  for (const line of describeFindings(reading.remarks)) context.writeError(`${line}\n`)
  if (reading.settings !== null && reading.mistakes.length === 0) return reading.settings
  for (const line of describeFindings(reading.mistakes)) context.writeError(`${line}\n`)
  const count = reading.mistakes.length
  throw new Failure(
    'config',
    `${what}: the configuration has ${count} ${count === 1 ? 'mistake' : 'mistakes'}`,
    EXIT.config,
  )
}
