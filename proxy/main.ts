/**
 * Entry file of a proxy process. Started by the master (`supervisor/`), which hands it the listening sockets as descriptors and its
 * configuration over the IPC channel; goes away when the master says so or dies.
 */

import { codeOf, EXIT, reasonOf } from '../kit/failure.js'
import { MASTERS_SIGNALS } from '../kit/masters-signals.js'
import type { MasterToProxy, ProxyToMaster } from '../kit/messages.js'
import { closeUninvitedInspector } from '../kit/uninvited-inspector.js'
import { ORPHAN_MS, ProxyServer } from './proxy-server.js'

let proxy: ProxyServer | null = null

// Failing to tell a dead master something is no error: `disconnect` follows.
const tell = (message: ProxyToMaster) => void process.send?.(message, undefined, undefined, () => {})

process.on('message', message => take(message as MasterToProxy))
process.on('disconnect', () => end(ORPHAN_MS, true))

// `kit/child-prelude.cts` holds them already; here they are told.
for (const signal of MASTERS_SIGNALS) {
  process.on(signal, () => tell({ type: 'event', event: 'signal-ignored', fields: { signal } }))
}

function take(message: MasterToProxy): void {
  if (message.type === 'configure') start(message).catch(fail)
  else if (message.type === 'drain') end(message.mercyMs, false)
  else proxy?.take(message)
}

async function start(configure: Extract<MasterToProxy, { type: 'configure' }>): Promise<void> {
  // At once: messages that came with this one, such as of workers that are ready, are for it.
  proxy = new ProxyServer(configure, tell)
  await closeUninvitedInspector()
  await proxy.listen(configure)
  tell({ type: 'listening' })
}

function fail(error: unknown): void {
  const message: ProxyToMaster = { type: 'failed', reason: reasonOf(error) }
  process.send?.(message, undefined, undefined, () => process.exit(EXIT.software))
}

let ending = false

async function end(mercyMs: number, orphaned: boolean): Promise<void> {
  if (ending && !orphaned) return
  ending = true
  const workers = orphaned ? (proxy?.workerPids ?? []) : []
  await proxy?.drain(mercyMs)
  for (const pid of workers) killOrphan(pid)
  process.exit(0)
}

/** A worker whose loop is blocked does not see that the master died; its pid is its own as long as its link was open. */
function killOrphan(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
  }
}
