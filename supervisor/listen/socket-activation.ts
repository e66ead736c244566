/**
 * Assigns the sockets of systemd to the lines of the INI: by name (`http = fd://web` and FileDescriptorName=web, or
 * `fd://3`), or because a socket has the address of the line. This happens before anything is opened.
 *
 * What must stay true: a socket without a line and a name without a socket end the start, with a message that says what
 * systemd passed. Otherwise the service would silently serve less than was configured.
 */

import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { printListenAddress } from '../../kit/options/values/listen-address.js'
import type { ListenAddress } from '../../kit/options/values/value-types.js'
import {
  type InheritedSocket,
  inheritedDescriptors,
  isSameAddress,
  type PassedSockets,
  socketInodeOf,
  unixNameOf,
} from './inherited-sockets.js'
import { tcpAddressOf } from './listeners.js'

/** The addresses of the INI. */
export interface SocketsWanted {
  http: readonly ListenAddress[]
  metrics: ListenAddress | null
}

/** Without systemd. */
export const NOTHING_PASSED: PassedSockets = { http: [], metrics: null }

/**
 * The sockets that were passed to the process `pid`, with their addresses. Fails (71) if a descriptor does not exist.
 */
export function receiveSockets(environment: NodeJS.ProcessEnv, pid: number): InheritedSocket[] {
  return inheritedDescriptors(environment, pid).map(({ fd, name }) => ({ fd, name, ...nameOf(fd) }))
}

/** Assigns each socket to its line, or throws a Failure (78) that names the mismatch. Pure. */
export function assignSockets(
  { http: listeners, metrics }: SocketsWanted,
  sockets: readonly InheritedSocket[],
): PassedSockets {
  const left = new Set(sockets)
  const take = (option: string, address: ListenAddress | null): InheritedSocket[] => {
    if (address === null) return []
    const found = [...left].filter(socket => isFor(address, socket))
    if (found.length > 1 && found.some(({ claims }) => claims !== undefined)) throw disputed(option, address, found)
    if (found.length === 0 && address.kind === 'passed') throw missing(option, address, sockets)
    // An address stands for one socket. A name stands for all sockets of its socket unit.
    const taken = address.kind === 'passed' ? found : found.slice(0, 1)
    for (const socket of taken) left.delete(socket)
    return taken.map(socket => (address.kind === 'unix' ? { ...socket, address } : socket))
  }
  const http = listeners.map(address => take('http', address))
  const [forMetrics = null, ...more] = take('metrics', metrics)
  const [needless] = [...more, ...left]
  if (needless !== undefined) throw unasked(needless, more.length > 0)
  return { http, metrics: forMetrics }
}

function isFor(address: ListenAddress, socket: InheritedSocket): boolean {
  if (address.kind === 'passed') return address.name === socket.name || address.name === String(socket.fd)
  if (address.kind === 'unix' && socket.claims?.includes(address.path) === true) return true
  return socket.address !== null && isSameAddress(address, socket.address)
}

function nameOf(fd: number): Pick<InheritedSocket, 'address' | 'claims'> {
  try {
    const inode = socketInodeOf(fd)
    // The kernel's own answer comes first: another user may write the inode of any socket into a row of /proc/net/unix.
    const address = tcpAddressOf(fd)
    return address === null ? unixNameOf(inode) : { address }
  } catch (error) {
    throw new Failure('listen', `cannot use LISTEN_FDS: descriptor ${fd}: ${reasonOf(error)}`, EXIT.os, error)
  }
}

function missing(option: string, address: ListenAddress, sockets: readonly InheritedSocket[]): Failure {
  const passed =
    sockets.length === 0
      ? 'systemd passed no socket at all: is the socket unit active, and does its Service= name this service?'
      : `systemd passed no socket of this name: it passed ${sockets.map(describe).join(', ')}`
  return new Failure('listen', `cannot listen: ${option}=${printListenAddress(address)}: ${passed}`, EXIT.config)
}

function disputed(option: string, address: ListenAddress, sockets: readonly InheritedSocket[]): Failure {
  const why = `${sockets.map(describe).join(' or ')}: another user has forged rows of /proc/net/unix`
  const accepted = `accepted \`${option} = fd://${sockets[0]?.name}\``
  return new Failure(
    'listen',
    `cannot listen: ${option}=${printListenAddress(address)}: ${why}: ${accepted}`,
    EXIT.config,
  )
}

function unasked(socket: InheritedSocket, isSecondMetrics: boolean): Failure {
  const why = isSecondMetrics
    ? 'metrics is one socket: accepted a socket unit of its own with one ListenStream='
    : `no line of the INI asks for it: accepted \`http = fd://${socket.name}\`, or its address as \`http\` or \`metrics\``
  return new Failure('listen', `cannot use a socket of systemd: ${describe(socket)}: ${why}`, EXIT.config)
}

function describe({ fd, name, address, claims }: InheritedSocket): string {
  const where = address === null ? `descriptor ${fd}` : printListenAddress(address)
  const doubt = claims === undefined ? '' : ', with forged rows in /proc/net/unix'
  return `${name} (${where}${doubt})`
}
