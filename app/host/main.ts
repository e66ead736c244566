/**
 * Entry file of a worker: one life of one copy of the application, on its own unix socket. The master (`supervisor/`)
 * starts it and has set environment, working directory and title. The worker stops when the master says so, never by a
 * signal.
 *
 * If it is told to wait (`lazy`), it has only its socket until the master says `load`: no link, because its proxy would
 * take a long load for a blocked loop, no watchdog, no metrics. Then it boots as any other worker.
 *
 * The build makes one file of it and its modules: they are there whatever the application does to loaders and
 * descriptors. Parts of Node and packages that take long to load are loaded where they are needed.
 */

import { chmodSync } from 'node:fs'
import type { Server } from 'node:http'
import { clearTimeout, setTimeout } from 'node:timers'
import type { WorkerEventName } from '../../kit/channel/child-events.js'
import type { MasterToWorker, StreamLimits, WorkerSettings } from '../../kit/channel/messages.js'
import { clearName } from '../../kit/ground/clear-name.js'
import { Failure, reasonOf, stackOf } from '../../kit/ground/failure.js'
import { watchdogPathOf } from '../../kit/link/stack-report.js'
import { hasUninvitedInspector, INSPECTED_SIGNAL } from '../../kit/process/uninvited-inspector.js'
import { ApplicationChannel } from './application/application-channel.js'
import { installHook } from './application/application-hook.js'
import { type BootFacts, startBootRemarks } from './application/boot-remarks.js'
import { playClusterWorker } from './application/cluster-role.js'
import { Ending, endChildren } from './application/ending.js'
import type { Running } from './application/farewell.js'
import { loadApplication } from './application/load-application.js'
import { openMasterChannel } from './application/master-channel.js'
import { moveToCpus } from './application/move-to-cpus.js'
import { type Door, keepDoor } from './link/door.js'
import { openLinkServer } from './link/link-server.js'
import { openTunnelServer } from './link/tunnel-server.js'
import { connectToOwnSite, showLoopback } from './listen/own-site.js'
import { type SiteRemark, type Taken, takeOverListen } from './listen/take-over.js'
import { startLoopLag } from './measure/loop-lag.js'
import { startMetricsShipper } from './measure/metrics-shipper.js'
import { startUtilization } from './measure/utilization.js'
import { countInspectorSessions } from './watchdog/inspector-sessions.js'
import { startWatchdog } from './watchdog/watchdog.js'

/** The peers of these sockets speak for clients, and are believed: only the service's own user may connect. */
const PRIVATE_MODE = 0o600
/** The first remark on a slow boot: most applications listen long before. */
const FIRST_REMARK_MS = 5000
/** In the time that is left, the reason of the wait is checked this many times. */
const REMARKS = 4

/** Node's own, whatever the application puts in its place. */
const exit = process.exit.bind(process)

/** The application's own exit, which may be held. */
const CLUSTER_END = {
  isTold: () => ending?.isTold ?? false,
  replace: () => channel.send({ type: 'recycle', reason: 'disconnected' }),
  exit: () => process.exit(),
}

let running: Running | null = null
let ending: Ending | null = null
let keepsChildren = false
/** Loads the application of a waiting worker. */
let load = async () => {}
const channel = openMasterChannel(onMessage, onMasterGone)
const messages = new ApplicationChannel(process)

function onMessage(message: MasterToWorker): void {
  if (message.type === 'configure') start(message.settings).catch(fail)
  else if (message.type === 'load') load().catch(fail)
  else if (message.type === 'farewell') tellEarly(message.mercyMs, message.stream)
  else if (message.type === 'stop') stop(message.mercyMs, message.snapshotPath)
}

async function start(settings: WorkerSettings): Promise<void> {
  keepsChildren = settings.keepChildren
  if (settings.cpus !== null) pinTo(settings.cpus)
  if (hasUninvitedInspector()) process.kill(process.pid, INSPECTED_SIGNAL)
  installHook()
  messages.install()
  const sessions = countInspectorSessions()
  const { socketPath, linkPath, tunnelPath, socketMode } = settings
  // Here, not in the master: what another program has put there may take minutes to remove.
  for (const path of [socketPath, linkPath, tunnelPath, watchdogPathOf(linkPath)]) clearName(path)
  if (!settings.waits) return serve(settings, sessions, null)
  const door = await keepDoor(socketPath, socketMode, () => channel.send({ type: 'load-wanted' }))
  load = () => serve(settings, sessions, door)
  channel.send({ type: 'waiting', bootMs: uptimeMs() })
}

function pinTo(cpus: readonly number[]): void {
  const why = moveToCpus(cpus)
  if (why !== null) trouble('affinity-trouble')(why)
}

async function serve(settings: WorkerSettings, sessions: SharedArrayBuffer, door: Door | null): Promise<void> {
  const sinceMs = door === null ? 0 : uptimeMs()
  // First: the thread starts while the application loads.
  const watchdog = startWatchdog({ path: watchdogPathOf(settings.linkPath), sessions }, trouble('watchdog-trouble'))
  const { app: path, args, appPort, portMs, socketPath, socketMode } = settings
  const taken = takeOverListen(socketPath, { makeRoom: door?.leave, appPort, portMs, remark: tellSite })
  let isServed = false
  const endRemarks = remarkOnBoot(
    settings.workerStartTimeoutMs - (uptimeMs() - sinceMs),
    { appPort, isServed: () => isServed, waitReady: settings.waitReady },
    taken,
    why => void channel.event('not-listening', { why, elapsedMs: uptimeMs() - sinceMs }),
  )
  connectToOwnSite(() => taken.siteAddress, socketPath)
  if (settings.clusterWorker) {
    playClusterWorker(settings.slot, CLUSTER_END)
  }
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
  running = { application, link, tunnels, flush: metrics.flush }
  ending = new Ending({ running, channel, messages, exit })
  if (site !== application) serveBy(site)
  // Otherwise nobody could ask for the stack of a loop that the first request blocks.
  await watchdog.listening
  // At once, so that gauges of the application do not vanish for a second when the previous worker goes.
  void metrics.flush()
  if (settings.utilizationMs > 0)
    startUtilization(settings.utilizationMs, share => channel.send({ type: 'utilization', share }))
  if (settings.waitReady) await messages.ready
  endRemarks()
  channel.send({ type: 'ready', bootMs: uptimeMs() - sinceMs, ignoresPort: taken.ignoresPort })
}

/** Says what a slow boot waits for; `leftMs` is the time that it has left. The result ends the remarks. */
function remarkOnBoot(leftMs: number, facts: BootFacts, taken: Taken, remark: (why: string) => void): () => void {
  const firstMs = Math.min(FIRST_REMARK_MS, leftMs / 2)
  let end = () => {}
  const begin = () => {
    end = startBootRemarks((leftMs - firstMs) / REMARKS, facts, taken, remark)
  }
  const timer = setTimeout(begin, firstMs).unref()
  return () => {
    clearTimeout(timer)
    end()
  }
}

/** The site. If the application has closed it again: the next server that takes its place. */
function openServer(taken: Taken): Server | Promise<Server> {
  return (
    taken.openServer ??
    new Promise(resolve => {
      taken.onReplaced = resolve
    })
  )
}

/** Another server has taken the site's place: the one on PORT, or the next one after a close. */
function serveBy(application: Server): void {
  if (running === null) return
  running.application = application
  const { link, tunnels } = running
  for (const part of [link, tunnels]) part.serve(application)
}

/** An application may listen on many ports: the remark names this many. */
const MOST_DOUBTS = 3
let doubts = 0

/** Two servers could be the site: says which one is, and how to choose. */
function tellSite({ isLate, site, other }: SiteRemark): void {
  if (isLate) {
    const remedy = `app-port = ${portOf(site)}, or ${other} gets the requests until ${site} listens`
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
  // A finding of daimyo is complete by itself: only stacks of the application help the operator.
  await channel.failed(reasonOf(thrown), Failure.is(thrown) ? '' : stackOf(thrown))
  exit(1)
}

function tellEarly(mercyMs: number, stream: StreamLimits | null): void {
  ending?.tellEarly(mercyMs, stream)
}

function stop(mercyMs: number, snapshotPath: string | null): void {
  setTimeout(() => exit(0), mercyMs).unref()
  if (ending === null) return exit(0)
  ending.stop(mercyMs, snapshotPath).catch(fail)
}

function onMasterGone(): void {
  if (ending !== null) return ending.endAlone(keepsChildren)
  endChildren(keepsChildren).finally(() => exit(0))
}
