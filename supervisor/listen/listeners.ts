/**
 * The public listening sockets. The master opens them, as root if a port needs it, and keeps them for its whole life.
 * The proxies inherit the descriptors, call listen(2) on them and accept.
 *
 * What must stay true: the master never accepts. `net._createServerHandle`, which `cluster` also uses, binds without
 * listening, and libuv accepts only on handles on which it listens. It sets SO_REUSEADDR, so a restart does not wait
 * for TIME_WAIT.
 *
 * A socket listens from the first proxy's listen(2) until the master closes it. Between the death of a proxy and the
 * first accept of the next one, clients wait in the backlog. Before the first proxy listens, clients are refused. If
 * two masters bind the same port at the same time, both succeed; then the proxy of the second one fails to listen.
 */

import { lookup } from 'node:dns/promises'
import { closeSync, lchownSync, lstatSync } from 'node:fs'
import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { overlaps, printListenAddress } from '../../kit/options/values/listen-address.js'
import type { BoundAddress, ListenAddress } from '../../kit/options/values/value-types.js'
import type { Settings } from '../config/values/settings.js'
import { userName } from '../user/account-names.js'
import type { SocketOwner } from '../user/accounts.js'
import { asOpening, type Opening, onGuardedPath, openingOf } from '../user/guarded-path.js'
import { mayBecomeUser, mayBecomeUserWithin } from '../user/service-user.js'
import { type InheritedSocket, isWildcard, type PassedSockets } from './inherited-sockets.js'
import { freeSocketPath, withMode } from './socket-file.js'

/** How long a close waits until it may remove a unix socket. */
const CLOSE_MS = 1000

/** One open socket. `close` also removes the file of a unix socket, unless systemd opened the socket. */
export interface Listener {
  fd: number
  /** The URL for clients: `http://127.0.0.1:8080`, `unix:/run/x.sock`. */
  url: string
  inherited: boolean
  /** Connections that may wait to be accepted. */
  backlog: number
  close(): void
}

/** The addresses to open, and their users. */
export interface ListenerOptions {
  addresses: readonly ListenAddress[]
  /** Addresses on which another part of this master listens. */
  others?: readonly ListenAddress[]
  /** The backlog of the sockets that the master opens; `passedBacklog` is for passed sockets. */
  backlog: number
  passedBacklog: number
  /** The mode of unix sockets. */
  mode: number
  /** The owner of unix sockets. Null: the master. `gid` null: the group stays. */
  owner: SocketOwner | null
  /** The identity that opens unix sockets if another user than root may change the path. */
  opener: Credentials | null
  /** Sockets of systemd that replace some of the addresses. */
  passed: PassedSockets
  /**
   * Removes a unix socket if another user than root may change its folder. The master must not do it itself: that user
   * may have put a large file there, and unlink(2) waits until the kernel has freed its blocks.
   */
  remove?: (path: string) => void
}

/** The user and the group of the service may connect: a web server in front may belong to the group. */
const SERVICE_MODE = 0o660
/** chown(2) leaves an id of -1 as it is. */
const UNCHANGED = -1

/**
 * Who may use the public unix sockets: `chmod-socket` and `chown-socket`, otherwise the user and group of the service.
 */
export function socketAccess(
  settings: Pick<Settings, 'chmodSocket' | 'chownSocket' | 'credentials'>,
): Pick<ListenerOptions, 'mode' | 'owner' | 'opener'> {
  const { chmodSocket, chownSocket: owner, credentials } = settings
  const mode = chmodSocket ?? SERVICE_MODE
  const given = owner === null ? credentials : { ...owner, gid: owner.gid ?? credentials?.gid ?? null }
  return { mode, owner: given, opener: credentials }
}

/**
 * Opens all addresses. If one fails, it closes all and throws a Failure that names that one (69 in use, 77 not
 * permitted, 71 anything else). Passed sockets of systemd replace the addresses that `passed` names. `[::]` is IPv6
 * only if an IPv4 address has the same port, as with nginx.
 */
export async function openListeners(options: ListenerOptions): Promise<Listener[]> {
  const places = await placesOf(options)
  const all = [...places.flatMap(({ found }) => found), ...(options.others ?? [])]
  const opened: Listener[] = []
  const taken: { address: ListenAddress; configured: ListenAddress }[] = []
  try {
    for (const { configured, sockets, found } of places) {
      if (sockets.length > 0) opened.push(...sockets.map(socket => adopt(socket, options)))
      for (const address of sockets.length > 0 ? [] : found) {
        opened.push(await open(address, configured, options, isBesideIPv4(address, all)))
        // No process listens yet, so the kernel lets us bind both.
        const other = taken.find(each => overlaps(each.address, address))
        if (other !== undefined) throw cannotListen(configured, 'EADDRINUSE', takenBy(other.configured))
      }
      taken.push(...found.map(address => ({ address, configured })))
    }
  } catch (error) {
    for (const listener of opened) listener.close()
    throw error
  }
  return opened
}

interface Place {
  configured: ListenAddress
  sockets: readonly InheritedSocket[]
  /** The addresses after name resolution. For passed sockets: the addresses to which they are bound. */
  found: BoundAddress[]
}

function placesOf({ addresses, passed }: ListenerOptions): Promise<Place[]> {
  return Promise.all(
    addresses.map(async (configured, index): Promise<Place> => {
      const sockets = passed.http[index] ?? []
      if (sockets.length > 0) return { configured, sockets, found: sockets.flatMap(({ address }) => address ?? []) }
      if (configured.kind === 'passed') return { configured, sockets, found: [] }
      if (configured.kind === 'unix') return { configured, sockets, found: [configured] }
      return { configured, sockets, found: [{ ...configured, host: await resolveHost(configured) }] }
    }),
  )
}

function isBesideIPv4(address: BoundAddress, all: readonly ListenAddress[]): boolean {
  if (address.kind !== 'tcp' || address.port === 0 || address.host !== '::') return false
  return all.some(other => other.kind === 'tcp' && other.port === address.port && net.isIPv4(other.host))
}

function takenBy(other: ListenAddress): string {
  return `\`http = ${printListenAddress(other)}\` has it`
}

/**
 * With `die-on-idle`, systemd must hold every socket: while the master is away, any other socket is closed and its
 * clients are lost. Throws (78) for such a socket.
 */
export function demandInherited(listeners: readonly Listener[]): void {
  const own = listeners.filter(listener => !listener.inherited).map(({ url }) => url)
  if (own.length === 0) return
  const message =
    `die-on-idle: received ${own.join(', ')}, which systemd did not open: ` +
    'accepted only where a socket unit of systemd has opened every listener'
  throw new Failure('config', message, EXIT.config)
}

/** The port of the first listener that has one. Null: all are unix sockets. */
export function publicPortOf(listeners: readonly Pick<Listener, 'url'>[]): number | null {
  const [port] = listeners.flatMap(({ url }) => /^http:.*:(\d+)$/.exec(url)?.[1] ?? [])
  return port === undefined ? null : Number(port)
}

/** An address as a URL for clients. */
export function printUrl(address: BoundAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `http://${printListenAddress(address)}`
}

/** The members of libuv's handles that this file uses. */
interface BoundHandle {
  fd: number
  getsockname(out: { address?: string; port?: number }): number
  close(): void
}

type CreateServerHandle = (
  address: string | null,
  port: number | null,
  addressType: number | null,
  fd?: number,
  flags?: number,
) => BoundHandle | number

const createServerHandle = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle

function adopt({ fd, address }: InheritedSocket, { passedBacklog: backlog }: ListenerOptions): Listener {
  const url = address === null ? `fd:${fd}` : printUrl(address)
  return { fd, url, inherited: true, backlog, close: () => {} }
}

/**
 * The address to which an open TCP socket is bound. Null: it is another kind of socket. The handle stays open, because
 * its close would close the socket.
 */
export function tcpAddressOf(fd: number): BoundAddress | null {
  const handle = createServerHandle(null, null, null, fd)
  if (typeof handle === 'number' || typeof handle.getsockname !== 'function') return null
  return boundAddress(handle)
}

type OpenOptions = Pick<ListenerOptions, 'backlog' | 'mode' | 'owner' | 'opener' | 'remove'>

/** `configured`: the address as the INI names it. `isSixOnly`: see `openListeners`. */
function open(
  address: BoundAddress,
  configured: ListenAddress,
  options: OpenOptions,
  isSixOnly: boolean,
): Promise<Listener> {
  if (address.kind === 'unix') return openUnix(address, options)
  return Promise.resolve(openTcp(address, configured, options.backlog, isSixOnly))
}

async function openUnix(
  address: BoundAddress & { kind: 'unix' },
  { backlog, mode, owner, opener, remove }: OpenOptions,
): Promise<Listener> {
  const { path } = address
  await freeSocketPath(path, opener)
  const opening = openingOf(path, 'name', opener)
  const handle = asOpening(ownedBy(owner, opening, path), opener, () =>
    withMode(mode, () => createServerHandle(path, -1, -1)),
  )
  if (typeof handle === 'number') throw cannotListen(address, getSystemErrorName(handle), opening.reason)
  // `handle.close` removes the file before it returns.
  const closeNow = () => onGuardedPath(path, 'name', opener, () => handle.close())
  // If another thread keeps root from becoming that user, the file stays: the next start removes it.
  const close = () => {
    if (opening.as !== null && remove !== undefined) {
      // The handle itself stays open until this process ends: its close would remove the file.
      closeSync(handle.fd)
      return remove(path)
    }
    if (mayBecomeUser(opening.as)) return closeNow()
    void mayBecomeUserWithin(opening.as, CLOSE_MS).then(isFree => isFree && closeNow())
  }
  try {
    if (owner !== null) onGuardedPath(path, 'name', opener, () => giveAway(path, owner))
  } catch (error) {
    close()
    throw cannotGiveAway(path, reasonOf(error), error)
  }
  return { fd: handle.fd, url: printUrl(address), inherited: false, backlog, close }
}

/**
 * In a folder that the service's user may change, that user can replace the socket by another file at any time. So root
 * changes no owner there: the service's user makes the socket, with the wanted group. Another owner is refused.
 */
function ownedBy(owner: SocketOwner | null, opening: Opening, path: string): Opening {
  const { as, reason } = opening
  if (owner === null || as === null) return opening
  if (owner.uid === as.uid) return { as: { ...as, gid: owner.gid ?? as.gid }, reason }
  const accepted = `accepted a folder that only root may change, or a socket of ${userName(as.uid)}'s: chown-socket = ${userName(as.uid)}:GROUP`
  throw cannotGiveAway(path, `it is ${reason}: ${accepted}`)
}

/** If the owner is right already, chown(2) is not called: a sandbox may forbid the call. */
function giveAway(path: string, { uid, gid }: SocketOwner): void {
  const found = lstatSync(path)
  if (found.uid !== uid || (gid !== null && found.gid !== gid)) lchownSync(path, uid, gid ?? UNCHANGED)
}

function cannotGiveAway(path: string, why: string, cause?: unknown): Failure {
  return new Failure('listen', `cannot change the owner of the socket: ${path}: ${why}`, EXIT.permission, cause)
}

function openTcp(
  { host: wanted, port }: BoundAddress & { kind: 'tcp' },
  configured: ListenAddress,
  backlog: number,
  isSixOnly: boolean,
): Listener {
  const isAll = isWildcard(wanted) && wanted !== '0.0.0.0'
  const hosts = isAll ? (isSixOnly ? ['::'] : ['::', '0.0.0.0']) : [wanted]
  let code = ''
  for (const host of hosts) {
    const bound = bindTcp(host, port, isSixOnly ? SIX_ONLY : 0)
    if (typeof bound !== 'string') {
      const { handle } = bound
      return { fd: handle.fd, url: printUrl(bound.address), inherited: false, backlog, close: () => handle.close() }
    }
    code = bound
    // Only a machine without IPv6 gets a second try, with IPv4.
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') break
  }
  throw cannotListen(configured, code)
}

/** UV_TCP_IPV6ONLY of uv.h. */
const SIX_ONLY = 1

/** The bound handle and its real port, or an error code. libuv reports EADDRINUSE of bind(2) only at getsockname. */
function bindTcp(host: string, port: number, flags: number): { handle: BoundHandle; address: BoundAddress } | string {
  const handle = createServerHandle(host, port, net.isIPv6(host) ? 6 : 4, undefined, flags)
  if (typeof handle === 'number') return getSystemErrorName(handle)
  const address = boundAddress(handle)
  if (address !== null) return { handle, address }
  handle.close()
  return 'EADDRINUSE'
}

function boundAddress(handle: BoundHandle): BoundAddress | null {
  const name: { address?: string; port?: number } = {}
  if (handle.getsockname(name) !== 0 || name.address === undefined || name.port === undefined) return null
  return { kind: 'tcp', host: name.address, port: name.port }
}

async function resolveHost(address: BoundAddress & { kind: 'tcp' }): Promise<string> {
  if (net.isIP(address.host) !== 0 || isWildcard(address.host)) return address.host
  try {
    return (await lookup(address.host)).address
  } catch (error) {
    throw new Failure(
      'listen',
      `cannot listen: ${printListenAddress(address)}: ${reasonOf(error)}`,
      EXIT.unavailable,
      error,
    )
  }
}

const EXIT_CODES: Record<string, number> = {
  EADDRINUSE: EXIT.unavailable,
  EADDRNOTAVAIL: EXIT.unavailable,
  EACCES: EXIT.permission,
  EPERM: EXIT.permission,
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'the address is in use (EADDRINUSE)',
  EADDRNOTAVAIL: 'this machine does not have the address (EADDRNOTAVAIL)',
  EACCES: 'not permitted (EACCES)',
}

function cannotListen(address: ListenAddress, code: string, reason = ''): Failure {
  const why = (REASONS[code] ?? code) + (reason === '' ? '' : ` (${reason})`)
  return new Failure('listen', `cannot listen: ${printListenAddress(address)}: ${why}`, EXIT_CODES[code] ?? EXIT.os)
}
