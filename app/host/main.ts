/**
 * Entry file of a worker: one life of one copy of the application, on its own unix socket.
 * Started by the master (`supervisor/`), which has set environment, working directory and title; stops by its word, never by a signal.
 *
 * Where it is told to wait (`lazy`), it has nothing but its socket until the master says `load`: no link, whose proxy would take a long load for a
 * blocked loop, no watchdog, no metrics. From then on it boots as any other.
 */

import { chmodSync } from 'node:fs'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { WorkerEventName } from '../../kit/child-events.js'
import { clearName } from '../../kit/clear-name.js'
import { Failure, reasonOf } from '../../kit/failure.js'
import type { MasterToWorker, WorkerSettings } from '../../kit/messages.js'
import { endSession, processesOfSession } from '../../kit/session-processes.js'
import { watchdogPathOf } from '../../kit/stack-report.js'
import { hasUninvitedInspector, INSPECTED_SIGNAL } from '../../kit/uninvited-inspector.js'
import { ApplicationChannel } from './application-channel.js'
import { installHook } from './application-hook.js'
import { startBootRemarks } from './boot-remarks.js'
import { playClusterWorker } from './cluster-role.js'
import { type Door, keepDoor } from './door.js'
import { Farewell } from './farewell.js'
import { writeSnapshot } from './heap-snapshot.js'
import { countInspectorSessions } from './inspector-sessions.js'
import { type LinkServer, openLinkServer } from './link-server.js'
import { loadApplication } from './load-application.js'
import { startLoopLag } from './loop-lag.js'
import { openMasterChannel } from './master-channel.js'
import { startMetricsShipper } from './metrics-shipper.js'
import { connectToOwnSite, showLoopback } from './own-site.js'
import { type SiteRemark, type Taken, takeOverListen } from './take-over.js'
import { openTunnelServer, type TunnelServer } from './tunnel-server.js'
import { startUtilization } from './utilization.js'
import { startWatchdog } from './watchdog.js'

/** How long requests in flight may take when the master is dead; the proxies go away within a second themselves. */
const ORPHAN_MS = 1200
const POLL_MS = 20
/** Between SIGTERM and SIGKILL for what the application has started, when there is no master to do it. */
const ORPHANS_CHILDREN_MS = 500
/** What the proxies talk to speaks of clients, and is believed: for the service's own user only. */
const PRIVATE_MODE = 0o600
/** What an application has that listens to messages only, once it was told to end: PM2's `kill_timeout` by default. */
const SHUTDOWN_MESSAGE_MS = 1600
/** The part of its mercy that a worker waits for open connections; the rest is the application's, to clean up in. */
const OPEN_SHARE = 0.8

interface Running {
  application: Server
  link: LinkServer
  tunnels: TunnelServer
  metrics: ReturnType<typeof startMetricsShipper>
  farewell: Farewell
}

/** As Node has it, whatever the application puts in its place. */
const exit = process.exit.bind(process)

/** The application's own exit, which may be held. */
const CLUSTER_END = {
  isTold: () => running?.farewell.isTold ?? false,
  replace: () => channel.send({ type: 'recycle', reason: 'disconnected' }),
  exit: () => process.exit(),
}

let running: Running | null = null
let keepsChildren = false
/** Loads the application of a worker that waits. */
let load = async () => {}
const channel = openMasterChannel(onMessage, onMasterGone)
const messages = new ApplicationChannel(process)

function onMessage(message: MasterToWorker): void {
  if (message.type === 'configure') start(message.settings).catch(fail)
  else if (message.type === 'load') load().catch(fail)
  else if (message.type === 'farewell') running?.farewell.tellEarly(message.mercyMs, message.stream)
  else if (message.type === 'stop') stop(message.mercyMs, message.snapshotPath).catch(fail)
}

async function start(settings: WorkerSettings): Promise<void> {
  keepsChildren = settings.keepChildren
  if (settings.cpus !== null) await pinTo(settings.cpus)
  if (await hasUninvitedInspector()) process.kill(process.pid, INSPECTED_SIGNAL)
  installHook()
  messages.install()
  const sessions = await countInspectorSessions()
  const { socketPath, linkPath, tunnelPath, socketMode } = settings
  // Here, not in the master: what somebody has put there may take minutes to remove.
  for (const path of [socketPath, linkPath, tunnelPath, watchdogPathOf(linkPath)]) clearName(path)
  if (!settings.waits) return serve(settings, sessions, null)
  const door = await keepDoor(socketPath, socketMode, () => channel.send({ type: 'load-wanted' }))
  load = () => serve(settings, sessions, door)
  channel.send({ type: 'waiting', bootMs: uptimeMs() })
}

async function pinTo(cpus: readonly number[]): Promise<void> {
  // Here, because few sites ask for it and every start would pay for node:child_process.
  const { moveToCpus } = await import('./move-to-cpus.js')
  const why = moveToCpus(cpus)
  if (why !== null) trouble('affinity-trouble')(why)
}

async function serve(settings: WorkerSettings, sessions: SharedArrayBuffer, door: Door | null): Promise<void> {
  const sinceMs = door === null ? 0 : uptimeMs()
  // First: its thread starts while the application loads.
  const watchdog = startWatchdog({ path: watchdogPathOf(settings.linkPath), sessions }, trouble('watchdog-trouble'))
  const { app: path, args, appPort, portMs, socketPath, socketMode } = settings
  const taken = takeOverListen(socketPath, { makeRoom: door?.leave, appPort, portMs, remark: tellSite })
  let isServed = false
  const endRemarks = startBootRemarks(
    {
      appPort,
      leftMs: settings.startMs - (uptimeMs() - sinceMs),
      isServed: () => isServed,
      waitReady: settings.waitReady,
    },
    taken,
    why => channel.event('not-listening', { why, elapsedMs: uptimeMs() - sinceMs }),
  )
  connectToOwnSite(() => taken.siteAddress, socketPath)
  if (settings.clusterWorker) playClusterWorker(settings.slot, CLUSTER_END)
  const application = await loadApplication({ path, args }, taken, channel).then(() => openServer(taken))
  isServed = true
  chmodSync(socketPath, socketMode)
  showLoopback(application)
  let site = application
  taken.onReplaced = server => {
    chmodSync(socketPath, socketMode)
    if (server === site) return
    site = server
    showLoopback(server)
    serveBy(server)
  }
  door?.open(application)
  const { lagMs } = startLoopLag()
  const host = { onRequest: countRequests(settings.maxRequests), lagMs }
  const link = await openLinkServer(settings.linkPath, application, host, watchdog)
  chmodSync(settings.linkPath, PRIVATE_MODE)
  const tunnels = await openTunnelServer(settings.tunnelPath, application)
  chmodSync(settings.tunnelPath, PRIVATE_MODE)
  const metrics = startMetricsShipper(
    settings.app,
    families => channel.metrics(families),
    undefined,
    trouble('metrics-trouble'),
  )
  const farewell = new Farewell({ application, link, channel, messages, flush: metrics.flush })
  running = { application, link, tunnels, metrics, farewell }
  if (site !== application) serveBy(site)
  // Or the stack of a loop that is blocked by the first request could not be asked for.
  await watchdog.listening
  // So that gauges of the application do not vanish for a second when the worker before this one goes.
  void metrics.flush()
  if (settings.utilizationMs > 0)
    startUtilization(settings.utilizationMs, share => channel.send({ type: 'utilization', share }))
  if (settings.waitReady) await messages.ready
  endRemarks()
  channel.send({ type: 'ready', bootMs: uptimeMs() - sinceMs, ignoresPort: taken.ignoresPort })
}

/** The site: where the application has closed it again, the next one that takes its place. */
function openServer(taken: Taken): Server | Promise<Server> {
  return (
    taken.openServer ??
    new Promise(resolve => {
      taken.onReplaced = resolve
    })
  )
}

/** Another server has taken the site's place: the one on PORT, or the next one when it was closed. */
function serveBy(application: Server): void {
  if (running === null) return
  running.application = application
  const { link, tunnels, farewell } = running
  for (const part of [link, tunnels, farewell]) part.serve(application)
}

/** An application may listen on many ports: so many of them are named. */
const MOST_DOUBTS = 3
let doubts = 0

/** Two servers could be the site: which one is, and how to say so. */
function tellSite({ isLate, site, other }: SiteRemark): void {
  if (isLate) {
    const remedy = `app-port = ${portOf(site)}, or requests are answered by ${other} until ${site} listens`
    void channel.event('site-late', { site, before: other, remedy })
  } else if (doubts < MOST_DOUBTS) {
    doubts++
    const remedy = `app-port = ${portOf(other)} if that is the site, app-port = ${portOf(site)} if not`
    void channel.event('site-doubtful', { site, other, remedy })
  }
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1)
}

function trouble(event: WorkerEventName) {
  return (why: string) => void channel.event(event, { why })
}

function uptimeMs(): number {
  return Math.round(process.uptime() * 1000)
}

function countRequests(maxRequests: number): () => void {
  let requests = 0
  return () => {
    requests += 1
    if (requests === maxRequests) channel.send({ type: 'recycle', reason: 'max-requests' })
  }
}

async function fail(thrown: unknown): Promise<void> {
  await channel.failed(reasonOf(thrown), applicationStack(thrown))
  exit(1)
}

/** Empty for a finding of our own, whose message says it all: only the application's stacks help the operator. */
function applicationStack(thrown: unknown): string {
  if (thrown instanceof Failure) return ''
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
}

/** The proxies send nothing any more; what is left are tunnels, direct connections, and the application's own clean-up. */
async function stop(mercyMs: number, snapshotPath: string | null): Promise<void> {
  setTimeout(() => exit(0), mercyMs).unref()
  if (running === null) return exit(0)
  const { application, link, tunnels, metrics, farewell } = running
  link.close()
  // An application that wants to know closes its server itself.
  const served = farewell.concernsApplication ? tunnels.close() : Promise.all([closed(application), tunnels.close()])
  await Promise.race([served, delay(mercyMs * OPEN_SHARE, undefined, { ref: false })])
  await metrics.flush()
  if (snapshotPath !== null) {
    const { event, fields } = writeSnapshot(snapshotPath)
    await channel.event(event, fields)
  }
  if (!farewell.concernsApplication) return exit(0)
  farewell.tell()
  if (farewell.wasToldByMessage) setTimeout(() => exit(0), Math.min(mercyMs, SHUTDOWN_MESSAGE_MS)).unref()
}

function closed(application: Server): Promise<void> {
  return new Promise(resolve => {
    if (!application.listening) return resolve()
    application.close(() => resolve())
    application.closeIdleConnections()
  })
}

function onMasterGone(): void {
  const deadline = performance.now() + ORPHAN_MS
  const look = setInterval(() => {
    if (running !== null && performance.now() <= deadline && !isIdle(running)) return
    clearInterval(look)
    endAlone().finally(() => exit(0))
  }, POLL_MS)
}

/** What a master would do behind the worker's end. A proxy kills those that are still linked after a while (`proxy/main.ts`). */
async function endAlone(): Promise<void> {
  running?.link.close()
  const left = keepsChildren ? [] : await processesOfSession(process.pid)
  if (left.length > 0) await endSession(process.pid, left, ORPHANS_CHILDREN_MS)
}

function isIdle({ link, tunnels }: Running): boolean {
  return link.inFlight === 0 && tunnels.open === 0
}
