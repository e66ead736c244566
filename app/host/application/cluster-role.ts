/**
 * What an application sees of `node:cluster` in a worker of daimyo, which is a process of its own and no cluster
 * worker. `process` is asked for the module: few applications load it by themselves, but `net.Server.listen` does so
 * for each.
 *
 * With `cluster-worker` the application finds itself in the role of a worker, as under PM2. Not by NODE_UNIQUE_ID: then
 * every `listen` would ask a primary process over a channel that does not exist. lib/net.js and lib/dgram.js of Node 20
 * to 26 read `isPrimary` of the module and, in a worker, call its `_getServer`. The replacement here opens the handle
 * in this process, as they do in a primary one.
 */

import type { Cluster, Worker } from 'node:cluster'
import type { SocketType } from 'node:dgram'
import * as net from 'node:net'

interface HandleQuery {
  address: string | null
  port: number | null
  addressType: string | number | null
  fd?: number
  flags?: number
}

type GotHandle = (error: number, handle: unknown) => void
type CreateHandle = (
  address: string | null,
  port: number | null,
  addressType: string | number | null,
  fd: number | undefined,
  flags: number | undefined,
) => unknown

type ClusterModule = Cluster & { Worker: { prototype: Worker } }

interface DgramDoors {
  /** Deprecated (DEP0112), and gone in Node 26. */
  _createSocketHandle?: CreateHandle
}

/** The handle of a datagram socket; one for IPv6 has the methods of IPv6 under these names. */
interface DatagramHandle {
  bind(address: string | null, port: number, flags: number): number
  open(fd: number): number
  close(): void
}

function moduleNamed<T>(name: string): T {
  return process.getBuiltinModule(name) as T
}

function loadedCluster(): ClusterModule {
  return moduleNamed<ClusterModule>('node:cluster')
}

/** Living cluster workers that the application has forked. */
export function livingClusterWorkers(): number {
  return Object.keys(loadedCluster().workers ?? {}).length
}

/** How the process ends. */
export interface ClusterEnd {
  /** daimyo has told the application to end. */
  isTold(): boolean
  /** Another worker has to take the place of this one, which then is told to end. */
  replace(): void
  exit(): void
}

/** From here on the application is a cluster worker with this number. */
export function playClusterWorker(slot: number, end: ClusterEnd): void {
  const cluster = loadedCluster()
  const worker = Object.assign(Object.create(cluster.Worker.prototype), {
    id: slot,
    process,
    exitedAfterDisconnect: undefined,
  })
  Object.assign(worker, {
    isDead: () => false,
    isConnected: () => true,
    send: sendToNobody,
    ...endings(worker, end),
  })
  Object.assign(cluster, {
    isPrimary: false,
    isMaster: false,
    isWorker: true,
    worker,
    workers: undefined,
    _getServer: openHandle,
  })
  const { syncBuiltinESMExports } = moduleNamed<{ syncBuiltinESMExports(): void }>('node:module')
  // `import { isPrimary } from 'node:cluster'`
  syncBuiltinESMExports()
}

/** The application has no primary process. */
function sendToNobody(): boolean {
  return false
}

/** Listening servers, which the end of a cluster worker closes. */
const servers = new Set<net.Server>()

/**
 * A cluster worker that ends by itself is told to end as by SIGTERM, if it listens to that. Otherwise daimyo replaces
 * it, so that its requests get their responses. A worker that is told to end, as by a handler of that signal, closes
 * its servers and emits `disconnect`.
 */
function endings(worker: Worker, { isTold, replace, exit }: ClusterEnd) {
  let isAsked = false
  let isLeaving = false
  const disconnect = () => {
    if (isAsked || isTold()) leave()
    else if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM')
    else replace()
    isAsked = true
    return worker
  }
  const leave = () => {
    if (isLeaving) return
    isLeaving = true
    void closed().then(() => {
      Object.assign(worker, { isConnected: () => false, exitedAfterDisconnect: true })
      worker.emit('disconnect')
    })
  }
  const destroy = () => {
    worker.once('disconnect', exit)
    disconnect()
  }
  return { disconnect, destroy, kill: destroy }
}

async function closed(): Promise<void> {
  await Promise.all([...servers].map(server => new Promise(resolve => server.close(resolve))))
}

function openHandle(server: unknown, query: HandleQuery, done: GotHandle): void {
  const { address, port, addressType, fd, flags } = query
  const isDatagram = typeof addressType === 'string'
  if (server instanceof net.Server) {
    servers.add(server)
    server.once('close', () => servers.delete(server))
  }
  const create = isDatagram
    ? (moduleNamed<DgramDoors>('node:dgram')._createSocketHandle ?? createDatagramHandle)
    : (net as unknown as { _createServerHandle: CreateHandle })._createServerHandle
  const handle = create(address, port, addressType, fd, flags)
  if (typeof handle === 'number') done(handle, null)
  else done(0, handle)
}

/** As lib/dgram.js does it: the unbound handle of a new socket of that type, bound here. */
function createDatagramHandle(...[address, port, type, fd, flags]: Parameters<CreateHandle>): unknown {
  const { createSocket } = moduleNamed<typeof import('node:dgram')>('node:dgram')
  const socket = createSocket(type as SocketType)
  const state = Object.getOwnPropertySymbols(socket).find(symbol => symbol.description === 'state symbol')
  const { handle } = Reflect.get(socket, state ?? '') as { handle: DatagramHandle }
  const error = fd !== undefined && fd >= 0 ? handle.open(fd) : handle.bind(address, port ?? 0, flags ?? 0)
  if (error === 0) return handle
  handle.close()
  return error
}
