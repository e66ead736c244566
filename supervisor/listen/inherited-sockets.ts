/**
 * Sockets that systemd opened for us (sd_listen_fds(3)): LISTEN_FDS descriptors from 3 on, meant for the process
 * LISTEN_PID. They belong to systemd: never bound, closed or unlinked by us.
 */

import { readFileSync, readlinkSync } from 'node:fs'
import type { BoundAddress } from '../../kit/options/values/value-types.js'

/** `http`: for each listener of the INI, in its order, the sockets that take its place; none: it is to be opened. */
export interface PassedSockets {
  http: readonly InheritedSocket[][]
  metrics: InheritedSocket | null
}

/** A descriptor and what its socket unit calls it: FileDescriptorName=, or the unit's own name. */
export interface PassedDescriptor {
  fd: number
  name: string
}

/** `address` null: a socket of some other kind, or one whose name cannot be read. */
export interface InheritedSocket extends PassedDescriptor {
  address: BoundAddress | null
}

const FIRST_FD = 3

/** The descriptors that were passed to the process `pid`; none when they were meant for somebody else. */
export function inheritedDescriptors(environment: NodeJS.ProcessEnv, pid: number): PassedDescriptor[] {
  const count = Number(environment.LISTEN_FDS)
  if (environment.LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1 || count > 1024) return []
  const names = environment.LISTEN_FDNAMES?.split(':') ?? []
  // sd_listen_fds_with_names(3) says "unknown" where there is no name.
  return Array.from({ length: count }, (_, index) => ({ fd: FIRST_FD + index, name: names[index] || 'unknown' }))
}

/** Whether a configured address is the one that systemd has opened; every way to say "all addresses" is the same. */
export function isSameAddress(configured: BoundAddress, inherited: BoundAddress): boolean {
  if (configured.kind === 'unix') return inherited.kind === 'unix' && inherited.path === configured.path
  if (inherited.kind === 'unix' || inherited.port !== configured.port) return false
  return inherited.host === configured.host || (isWildcard(inherited.host) && isWildcard(configured.host))
}

/** "All addresses" in any spelling. */
export function isWildcard(host: string): boolean {
  return host === '' || host === '*' || host === '::' || host === '0.0.0.0'
}

/**
 * The path that a unix socket is bound to, from `/proc/net/unix`; null when it has none. Throws where `fd` is no
 * socket.
 */
export function unixPathOf(fd: number, table: () => string = readUnixTable): string | null {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
  // libuv aborts the process when it is given an epoll descriptor for a socket.
  if (inode === undefined) throw new Error('it is not a socket')
  return findUnixPath(table(), inode)
}

/**
 * Looks a socket up in the text of `/proc/net/unix`: `Num RefCount Protocol Flags Type St Inode Path`. The kernel does
 * not escape paths. Any user may bind one with a line feed in it, and a forged row behind it. Throws if two rows have
 * the number.
 */
export function findUnixPath(table: string, inode: string): string | null {
  const rows = table.split('\n').flatMap(line => {
    const [, number, path] = /^\S+: \S+ \S+ \S+ \S+ \S+ +(\d+)(?: (.*))?$/.exec(line) ?? []
    return number === inode ? [path ?? ''] : []
  })
  if (rows.length > 1) throw new Error(`/proc/net/unix has two sockets of the number ${inode}`)
  const [path = ''] = rows
  return path.startsWith('/') ? path : null
}

function readUnixTable(): string {
  return readFileSync('/proc/net/unix', 'latin1')
}
