/**
 * Work that a root master does as the service's user (`uid`): opening what lies where that user, or whoever else is not
 * root, may plant a link. The kernel then judges every folder and link on the way, so nothing is opened that the user
 * could not open itself.
 *
 * The identity is switched for the whole process, threads included, and back again within one synchronous call.
 * Meanwhile no other user gains anything: real and saved ids stay root's, which is what kill(2) and ptrace(2) look at.
 * So does access(2), and with it existsSync: `work` must not ask it.
 *
 * The C library has every thread take the new identity, and waits for each. One that is held up in the kernel, by a
 * file system or by the lock of an inode, holds up this call too. So a start may do this. Whatever happens while the
 * master runs, a reload and a stop too, asks `mayBecomeUser` before, and needs no identity where that can be had: a
 * spawn does not (`become-user.ts`). What may take long itself is for another process.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '../../kit/channel/messages.js'

let switches = 0

/**
 * How often the identity was switched. What another thread of this process did meanwhile, such as an asynchronous
 * stat(2), may have been done as the user.
 */
export function identitySwitches(): number {
  return switches
}

/**
 * What `work` returns or throws; it must be synchronous, and gets the user's groups too. As root without `credentials`,
 * or as anybody else, it is just called. An identity that cannot be taken back ends the program: it throws in place of
 * the result.
 */
export function asServiceUser<T>(credentials: Credentials | null, work: () => T): T {
  if (credentials === null || process.geteuid?.() !== 0) return work()
  switches += 1
  const groups = process.getgroups?.() ?? []
  const gid = process.getegid?.() ?? 0
  try {
    // Groups before the user: afterwards they may not be changed.
    if (credentials.user === null) process.setgroups?.([])
    else process.initgroups?.(credentials.user, credentials.gid)
    process.setegid?.(credentials.gid)
    process.seteuid?.(credentials.uid)
    return work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(gid)
    process.setgroups?.(groups)
  }
}

/**
 * open(2): only a place in the file system; nothing is read, and the right to read is not asked for. Node has no name
 * for it.
 */
export const O_PATH = 0o10000000

const holders = new Set<() => boolean>()

/**
 * `holds` says whether a thread of this process may be in the kernel for long, on behalf of its caller. Returns the
 * removal.
 */
export function addThreadHolder(holds: () => boolean): () => void {
  holders.add(holds)
  return () => holders.delete(holds)
}

/** False: `asServiceUser` could wait for another thread. Always true where it changes no identity. */
export function mayBecomeUser(credentials: Credentials | null): boolean {
  if (credentials === null || process.geteuid?.() !== 0) return true
  return ![...holders].some(holds => holds())
}

/** Between two looks. */
const FREE_MS = 20

/** Resolves once `mayBecomeUser`, or with false after so many milliseconds. */
export async function mayBecomeUserWithin(credentials: Credentials | null, withinMs: number): Promise<boolean> {
  const sinceMs = performance.now()
  while (!mayBecomeUser(credentials)) {
    if (performance.now() - sinceMs >= withinMs) return false
    await delay(FREE_MS)
  }
  return true
}

/** By user and primary group. */
const knownGroups = new Map<string, number[]>()

/** The groups that a process of the service's user has, its primary one first; looked up once, and by `renewGroups`. */
export function groupsOf(credentials: Credentials): readonly number[] {
  return knownGroups.get(groupsKey(credentials)) ?? renewGroups(credentials)
}

/** Looks the groups up again, for a reload. */
export function renewGroups(credentials: Credentials): readonly number[] {
  const { user, gid } = credentials
  const all = user === null ? [] : asServiceUser(credentials, () => process.getgroups?.() ?? [])
  const groups = [gid, ...all.filter(group => group !== gid)]
  knownGroups.set(groupsKey(credentials), groups)
  return groups
}

/** What `renewGroups` has found in another process. */
export function learnGroups(credentials: Credentials, groups: readonly number[]): void {
  knownGroups.set(groupsKey(credentials), [...groups])
}

function groupsKey({ user, gid }: Credentials): string {
  return `${user} ${gid}`
}
