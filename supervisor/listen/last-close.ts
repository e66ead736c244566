/**
 * Closes a TCP socket of the master that processes of another user hold too. A linger time and a connection belong to
 * the socket and not to its descriptors: such a user can make a connection with unsent bytes of a listening socket, and
 * set SO_LINGER to years. Then the last close(2) waits as long, and the master with it. Only the end of a process waits
 * for nothing (inet_release of net/ipv4/af_inet.c). So a child has the last descriptor for a moment, and is killed.
 */

import type { ChildProcess } from 'node:child_process'
import { systemProgram } from '../../kit/ground/system-path.js'
import { spawnAs } from '../user/become-user.js'

/** If the master dies before it kills the child. */
const MOST_SECONDS = '10'

/** A bound socket that libuv knows. */
interface OpenSocket {
  fd: number
  close(): void
}

/** Without `sleep`, or if no process can be started, the master closes the socket alone. */
export function closeBesideOthers(socket: OpenSocket, find = systemProgram): void {
  const child = holder(socket.fd, find)
  socket.close()
  child?.kill('SIGKILL')
}

function holder(fd: number, find: typeof systemProgram): ChildProcess | null {
  const sleep = find('sleep')
  if (sleep === null) return null
  try {
    const program = { program: sleep, args: [MOST_SECONDS], env: {}, cwd: '/' }
    const child = spawnAs(null, program, { stdio: ['ignore', 'ignore', 'ignore', fd] })
    child.on('error', () => {}).unref()
    return child
  } catch {
    return null
  }
}
