/**
 * Says in time what a worker that does not become ready waits for. The stack in which it idles is not known; but its
 * calls of `listen` are, and what keeps its event loop alive.
 */

import type { Socket } from 'node:net'
import { clearInterval, setInterval } from 'node:timers'
import { printAddress } from '../listen/asked-address.js'
import type { Taken } from '../listen/take-over.js'
import { livingClusterWorkers } from './cluster-role.js'

export interface BootFacts {
  appPort: string | null
  /** The application listens. */
  isServed(): boolean
  /** The application must also send `ready`. */
  waitReady: boolean
}

const MOST_NAMED = 4

/**
 * Calls `remark` at once, and again when the reason has changed, which is checked every `everyMs`. The result ends
 * that.
 */
export function startBootRemarks(
  everyMs: number,
  facts: BootFacts,
  taken: Taken,
  remark: (why: string) => void,
): () => void {
  let said = ''
  const look = () => {
    const why = facts.isServed() ? describeServed(facts) : describeWait(facts, taken)
    if (why !== said) remark(why)
    said = why
  }
  const timer = setInterval(look, everyMs).unref()
  look()
  return () => clearInterval(timer)
}

function describeServed({ waitReady }: BootFacts): string {
  return waitReady
    ? "the application listens; wait-ready: it has not called process.send('ready')"
    : 'the application listens; the sockets of daimyo are not open yet'
}

/** What has not happened, what has, and what may be the reason, in this order. */
export function describeWait({ appPort }: Pick<BootFacts, 'appPort'>, taken: Taken): string {
  const children = livingClusterWorkers()
  const awaited = appPort === null ? 'on an HTTP server' : `on app-port ${appPort}`
  const parts = [`it has not called listen ${awaited}`]
  if (taken.siteAddress !== null) parts[0] = `it listens on ${printAddress(taken.siteAddress)} and goes on loading`
  if (taken.others.length > 0) parts.push(`it listens with ${taken.others.join(', ')}`)
  if (children > 0)
    parts.push(
      `it has forked ${children} cluster worker${children > 1 ? 's' : ''}, which daimyo cannot reach: cluster-worker = true makes each of its own workers one`,
    )
  const held = describeHandles(process.getActiveResourcesInfo())
  if (held !== '') parts.push(`it waits for ${held}`)
  return parts.join('; ')
}

/** Words for Node's names of resources. Other resources mean nothing to the author of an application. */
const WORDS: [pattern: RegExp, one: string, many: string][] = [
  [/^Timeout$/, 'a timer', 'timers'],
  [/^TCPConnectWrap$/, 'a connection that is being made', 'connections that are being made'],
  [/^(GetAddrInfoReqWrap|QueryReqWrap)$/, 'a name to be looked up', 'names to be looked up'],
  [/^FSReq/, 'a file', 'files'],
  [/^ProcessWrap$/, 'a child process', 'child processes'],
  [/^(MessagePort|Worker)$/, 'a thread', 'threads'],
]

/** `kinds` as `process.getActiveResourcesInfo` has them. */
export function describeHandles(kinds: readonly string[]): string {
  const parts = WORDS.flatMap(([pattern, one, many]) => {
    const count = kinds.filter(kind => pattern.test(kind)).length
    return count === 0 ? [] : [count === 1 ? one : `${count} ${many}`]
  })
  return [...parts, ...openConnections()].join(', ')
}

/** The peers of open connections: a database that does not answer is found by its address. */
function openConnections(): string[] {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles?: () => unknown[] }
  const peers = (_getActiveHandles?.call(process) ?? []).flatMap(handle => {
    const { remoteAddress, remotePort } = handle as Partial<Socket>
    return typeof remoteAddress === 'string' ? [`${remoteAddress}:${remotePort}`] : []
  })
  if (peers.length === 0) return []
  const named = [...new Set(peers)]
  const rest = named.length > MOST_NAMED ? ', …' : ''
  return [`the connection with ${named.slice(0, MOST_NAMED).join(', ')}${rest}`]
}
