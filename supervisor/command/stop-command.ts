/**
 * `daimyo stop [INI]`: asks the master to stop and waits until its process is gone. Must stay true: when it ends with
 * 0, the master's pid does not exist any more, nor does a child of it, and a new start finds everything free.
 */

import { EXIT, Failure } from '../../kit/ground/failure.js'
import { describeUnended, type UnendedProcess } from '../../kit/process/tracers.js'
import { askMaster } from '../control/control-client.js'
import { lifeOf, type ProcessLife, waitUntilGone } from '../host/process-presence.js'
import type { CommandContext } from './command-context.js'
import { locateMaster, type MasterSought } from './locate-master.js'

/** A master that stops sends progress every other second, however long its mercy is. */
const silenceMs = 20_000
/** After its last answer a master only removes its files. */
const goneMs = 10_000

/**
 * Prints the steps and `stopped`, and 1 where the master has stopped but a child of it does not end. Failures as
 * `locateMaster`, and `stop` (1) when the process of the master is still there.
 */
export async function stopCommand(sought: MasterSought, context: CommandContext): Promise<number> {
  const { socket, report, remark } = await locateMaster(sought, context.environment)
  context.writeError(remark)
  // Read before the request: after the stop the pid may belong to another process.
  const life = lifeOf(report.pid)
  const onProgress = (text: string) => context.print(`${text}\n`)
  let unended: readonly UnendedProcess[] = []
  const answered = askMaster(socket, { command: 'stop' }, { silenceMs, onProgress }).then(done => {
    if (!done.ok) throw new Failure('stop', `cannot stop: pid ${report.pid}: ${done.reason}`, EXIT.failed)
    unended = done.unended ?? []
  })
  if (life === null) await answered
  // A master that is gone has stopped, whether its last answer arrived or not.
  else await untilGone(life, answered)
  context.print(`stopped: pid ${report.pid}\n`)
  for (const left of unended) context.writeError(`daimyo: ${describeUnended(left)}\n`)
  return unended.length === 0 ? EXIT.ok : EXIT.failed
}

async function untilGone(life: ProcessLife, answered: Promise<void>): Promise<void> {
  const refusal = await answered.then(
    () => null,
    (error: unknown) => error,
  )
  if (await waitUntilGone(life, refusal === null ? goneMs : 1000)) return
  if (refusal !== null) throw refusal
  throw new Failure(
    'stop',
    `cannot stop: pid ${life.pid}: it has stopped serving but its process is still there`,
    EXIT.failed,
  )
}
