/**
 * The worker's line to the master: the IPC channel, taken out of the application's sight.
 * Opened by `main.ts`. An application started by `node app.js` has no `process.send`, so a hosted one has none either.
 * Must stay true: the channel keeps the process alive until the first message has come, or a worker on a busy machine ends before that.
 * While the application loads it does not count (`load-application.ts`).
 */

import type { MasterToWorker, WorkerToMaster } from '../../kit/messages.js'

export interface MasterChannel {
  send(message: WorkerToMaster): void
  /** Sends and resolves once the kernel has it; for the last words. */
  sent(message: WorkerToMaster): Promise<void>
}

/** Takes the channel over. `onGone`: the master died. Throws where the process was not started by a master. */
export function openMasterChannel(onMessage: (message: MasterToWorker) => void, onGone: () => void): MasterChannel {
  if (!process.send) throw new Error('a worker is started by the master, not by hand')
  const send = process.send.bind(process) as (message: WorkerToMaster, callback: () => void) => boolean
  process.on('message', message => onMessage(message as MasterToWorker))
  process.on('disconnect', onGone)
  Object.assign(process, { send: undefined })
  return {
    // Failing to tell a dead master something is no error: `disconnect` follows.
    send: message => void send(message, () => {}),
    sent: message => new Promise(resolve => send(message, () => resolve())),
  }
}
