/**
 * What an application sees of `node:cluster` in a worker of daimyo, which is a process of its own and no cluster
 * worker. Used by `main.ts` and `boot-remarks.ts`. The module is asked of the process: few applications load it by
 * themselves, but `net.Server.listen` does for each.
 *
 * With `cluster-worker` the application finds itself in the role of a worker, as under PM2. Not by NODE_UNIQUE_ID: then
 * every `listen` would be asked of a primary process by a channel that there is not. lib/net.js and lib/dgram.js of
 * Node 20 to 26 look at `isPrimary` of the module and, in a worker, call `_getServer` of it; what stands here opens the
 * handle in this process, which is what they do in a primary one.
 */

import type { Cluster, Worker } from 'node:cluster'
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
  _createSocketHandle: CreateHandle
}

function moduleNamed<T>(name: string): T {
  return process.getBuiltinModule(name) as T
}

function loadedCluster(): ClusterModule {
  return moduleNamed<ClusterModule>('node:cluster')
}

/** Cluster workers that the application has forked and that live. */
export function livingClusterWorkers(): number {
  return Object.keys(loadedCluster().workers ?? {}).length
}

/** What becomes of the process. */
export interface ClusterEnd {
  /** daimyo has told the application to end. */
  isTold(): boolean
  /** Another worker is to take the place of this one, which then is told to end. */
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

/** There is no primary process of the application's. */
function sendToNobody(): boolean {
  return false
}

/** Servers that listen, as a cluster worker's end closes them. */
const servers = new Set<net.Server>()

/**
 * A cluster worker that goes by itself is asked as by SIGTERM where it listens to that; else daimyo replaces it, so
 * that the requests that it has are answered. One that is told to go, as by a handler of that signal, closes its
 * servers and says `disconnect`.
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
    ? moduleNamed<DgramDoors>('node:dgram')._createSocketHandle
    : (net as unknown as { _createServerHandle: CreateHandle })._createServerHandle
  const handle = create(address, port, addressType, fd, flags)
  if (typeof handle === 'number') done(handle, null)
  else done(0, handle)
}
