/**
 * Sockets that systemd opened for us (sd_listen_fds(3)): LISTEN_FDS descriptors from 3 on, for the process LISTEN_PID.
 * They belong to systemd: we never bind, close or unlink them.
 */

import { readFileSync, readlinkSync } from 'node:fs'
import type { BoundAddress } from '../../kit/options/values/value-types.js'

/** `http`: for each listener of the INI, in order, the passed sockets that replace it. Empty: the master opens it. */
export interface PassedSockets {
  http: readonly InheritedSocket[][]
  metrics: InheritedSocket | null
}

/** A descriptor and the name that its socket unit gives it: FileDescriptorName=, or the name of the unit. */
export interface PassedDescriptor {
  fd: number
  name: string
}

/**
 * `address` null: another kind of socket, or a socket whose name cannot be read. `claims`: more than one row of
 * `/proc/net/unix` has its inode, and these paths stand there. At most one of them is true; another user forged the
 * rest.
 */
export interface InheritedSocket extends PassedDescriptor {
  address: BoundAddress | null
  claims?: readonly string[]
}

const FIRST_FD = 3

/** The descriptors that were passed to the process `pid`. None if they were meant for another process. */
export function inheritedDescriptors(environment: NodeJS.ProcessEnv, pid: number): PassedDescriptor[] {
  const count = Number(environment.LISTEN_FDS)
  if (environment.LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1 || count > 1024) return []
  const names = environment.LISTEN_FDNAMES?.split(':') ?? []
  // sd_listen_fds_with_names(3) uses "unknown" for a missing name.
  return Array.from({ length: count }, (_, index) => ({ fd: FIRST_FD + index, name: names[index] || 'unknown' }))
}

/** Whether systemd has opened the configured address. All spellings of "all addresses" are equal. */
export function isSameAddress(configured: BoundAddress, inherited: BoundAddress): boolean {
  if (configured.kind === 'unix') return inherited.kind === 'unix' && inherited.path === configured.path
  if (inherited.kind === 'unix' || inherited.port !== configured.port) return false
  return inherited.host === configured.host || (isWildcard(inherited.host) && isWildcard(configured.host))
}

/** "All addresses" in any spelling. */
export function isWildcard(host: string): boolean {
  return host === '' || host === '*' || host === '::' || host === '0.0.0.0'
}

/** The inode of a socket. Throws if `fd` is none: libuv aborts the process if it gets an epoll descriptor instead. */
export function socketInodeOf(fd: number): string {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
  if (inode === undefined) throw new Error('it is not a socket')
  return inode
}

/**
 * The path of a unix socket by the text of `/proc/net/unix`: `Num RefCount Protocol Flags Type St Inode Path`. The
 * kernel does not escape paths: any user may bind a path that contains a line feed and a forged row, but nobody can
 * remove the true row.
 */
export function unixNameOf(
  inode: string,
  table = readFileSync('/proc/net/unix', 'latin1'),
): Pick<InheritedSocket, 'address' | 'claims'> {
  const rows = table.split('\n').flatMap(line => {
    const [, number, path] = /^\S+: \S+ \S+ \S+ \S+ \S+ +(\d+)(?: (.*))?$/.exec(line) ?? []
    return number === inode ? [path ?? ''] : []
  })
  const paths = rows.filter(path => path.startsWith('/'))
  if (rows.length > 1) return { address: null, claims: paths }
  return { address: paths[0] === undefined ? null : { kind: 'unix', path: paths[0] } }
}
