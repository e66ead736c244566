/**
 * Counts the inspector sessions that the application has in its main thread (profilers, debuggers), so that the
 * watchdog stays away from them. Starts before the application is loaded. Ports (`--inspect`) are checked when it
 * matters (`blocked-stack.ts`); sessions from other threads of the application are not seen.
 */

import { inspectorOfNode } from '../../../kit/process/uninvited-inspector.js'

type Connection = Pick<import('node:inspector').Session, 'connect' | 'disconnect'>

/** Counts from now on, in the first number of the memory that is returned. */
export function countInspectorSessions(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4)
  const inspector = inspectorOfNode()
  if (inspector !== null) countConnections(inspector.Session.prototype, new Int32Array(memory))
  return memory
}

function countConnections(prototype: Connection, count: Int32Array): void {
  const { connect, disconnect } = prototype
  const connected = new WeakSet<Connection>()
  prototype.connect = function (this: Connection) {
    connect.call(this)
    connected.add(this)
    Atomics.add(count, 0, 1)
  }
  prototype.disconnect = function (this: Connection) {
    disconnect.call(this)
    if (connected.delete(this)) Atomics.sub(count, 0, 1)
  }
}
