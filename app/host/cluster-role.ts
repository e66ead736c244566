/**
 * What an application sees of `node:cluster` in a worker of daimyo, which is a process of its own and no cluster worker. Used by `main.ts` and
 * `boot-remarks.ts`. The module is asked of the process: few applications load it by themselves, but `net.Server.listen` does for each.
 *
 * With `cluster-worker` the application finds itself in the role of a worker, as under PM2. Not by NODE_UNIQUE_ID: then every `listen` would be asked of a
 * primary process by a channel that there is not. lib/net.js and lib/dgram.js of Node 20 to 26 look at `isPrimary` of the module and, in a worker, call
 * `_getServer` of it; what stands here opens the handle in this process, which is what they do in a primary one.
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

/** From here on the application is a cluster worker with this number. */
export function playClusterWorker(slot: number): void {
  const cluster = loadedCluster()
  const worker = Object.assign(Object.create(cluster.Worker.prototype), {
    id: slot,
    process,
    exitedAfterDisconnect: undefined,
  })
  Object.assign(worker, { isDead: () => false, isConnected: () => true, send: sendToNobody, ...endings() })
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

/** However a cluster worker is told to go, it is asked as by SIGTERM: daimyo starts another one. */
function endings() {
  const end = () => void process.kill(process.pid, 'SIGTERM')
  return { kill: end, destroy: end, disconnect: end }
}

function openHandle(_server: unknown, { address, port, addressType, fd, flags }: HandleQuery, done: GotHandle): void {
  const isDatagram = typeof addressType === 'string'
  const create = isDatagram
    ? moduleNamed<DgramDoors>('node:dgram')._createSocketHandle
    : (net as unknown as { _createServerHandle: CreateHandle })._createServerHandle
  const handle = create(address, port, addressType, fd, flags)
  if (typeof handle === 'number') done(handle, null)
  else done(0, handle)
}
