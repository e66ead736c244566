/**
 * Entry file of a proxy process. The master (`supervisor/`) starts it and sends it the listening sockets as descriptors
 * and its configuration over the channel. The proxy ends when the master says so or dies, and when it can no longer
 * reach the master.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { Channel, openChannelEnds } from '../kit/channel/channel.js'
import { LONGEST_REASON, type MasterToProxy, readMessageToProxy } from '../kit/channel/messages.js'
import { codeOf, EXIT, reasonOf } from '../kit/ground/failure.js'
import { MASTERS_SIGNALS } from '../kit/process/masters-signals.js'
import { hasUninvitedInspector, INSPECTED_SIGNAL } from '../kit/process/uninvited-inspector.js'
import { strictMs } from './process/clock.js'
import { MasterLine } from './process/master-line.js'
import { ORPHAN_MS, ProxyServer } from './proxy-server.js'

/**
 * Between the end of the clients and the kill of workers that are still linked. Living workers need this time to end
 * their links.
 */
const LINKS_END_MS = 300
const LOOK_MS = 20

let proxy: ProxyServer | null = null

const channel = new Channel(openChannelEnds(), {
  mostBytes: Number.POSITIVE_INFINITY,
  message: value => {
    const message = readMessageToProxy(value)
    if (message === null) process.stderr.write('a message of the master is left out: it is of another version\n')
    else take(message)
    return true
  },
  closed: broken => {
    if (broken === null) end(ORPHAN_MS, true)
    else giveUp(broken)
  },
})
const line = new MasterLine(channel, strictMs)

// `kit/child-prelude.cts` already ignores these signals; here they are reported.
for (const signal of MASTERS_SIGNALS) {
  process.on(signal, () => line.event('signal-ignored', { signal }))
}

function take(message: MasterToProxy): void {
  if (message.type === 'configure') start(message).catch(fail)
  else if (message.type === 'drain') end(message.mercyMs, false)
  else proxy?.take(message)
}

async function start(configure: Extract<MasterToProxy, { type: 'configure' }>): Promise<void> {
  // At once: messages that came with this one, such as `worker-ready`, are for the new server.
  proxy = new ProxyServer(configure, line)
  if (hasUninvitedInspector()) process.kill(process.pid, INSPECTED_SIGNAL)
  await proxy.listen(configure)
  line.tell({ type: 'listening' })
}

function fail(error: unknown): void {
  const reason = reasonOf(error).slice(0, LONGEST_REASON)
  line.tell({ type: 'failed', reason }, () => process.exit(EXIT.software))
}

let ending = false

async function end(mercyMs: number, orphaned: boolean): Promise<void> {
  if (ending && !orphaned) return
  ending = true
  await proxy?.drain(mercyMs)
  if (orphaned) await killOrphans()
  process.exit(0)
}

/**
 * The master lives. When it sees this proxy exit, it starts another one, which needs the workers. So none is killed
 * here.
 */
async function giveUp(why: string): Promise<void> {
  if (ending) return
  ending = true
  process.stderr.write(`the channel to the master is given up: ${why}\n`)
  await proxy?.drain(ORPHAN_MS)
  process.exit(EXIT.software)
}

/**
 * A worker with a blocked loop does not see that the master died. The other workers end their links, themselves and the
 * processes that they started (`app/host/main.ts`). A worker keeps its pid as long as its link is open.
 */
async function killOrphans(): Promise<void> {
  const endMs = performance.now() + LINKS_END_MS
  while (linked().length > 0 && performance.now() < endMs) await delay(LOOK_MS)
  for (const pid of linked()) {
    if (!proxy?.keepsChildren) kill(-pid)
    kill(pid)
  }
}

function linked(): number[] {
  return proxy?.workerPids ?? []
}

/** A pid, or a process group by its negative number. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // EPERM: the rest of the group belongs to another user.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error))) throw error
  }
}
