/**
 * Work that a root master does as the service's user (`uid`): opening files in places where that user, or any user but
 * root, may plant a link. The kernel then checks every folder and link on the way, so the master opens nothing that the
 * user could not open itself.
 *
 * The identity changes for the whole process, with all threads, and changes back within one synchronous call. Meanwhile
 * no other user gains a right: the real and saved ids stay root's, and kill(2) and ptrace(2) check those. access(2),
 * and so existsSync, checks the real id too: `work` must not use it.
 *
 * The C library makes every thread take the new identity and waits for each. A thread that waits in the kernel, for a
 * file system or for the lock of an inode, delays this call. A start may accept that. A running master, also in a
 * reload or a stop, first asks `mayBecomeUser`, and avoids the change where it can: a spawn needs none
 * (`become-user.ts`). Work that may take long belongs in another process.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '../../kit/channel/messages.js'

let switches = 0

/**
 * The count of identity changes. If it changed, an asynchronous call of another thread, such as stat(2), may have run
 * as the user meanwhile.
 */
export function identitySwitches(): number {
  return switches
}

/**
 * Runs `work` with the user's ids and groups and returns its result. `work` must be synchronous. Without `credentials`,
 * or if we are not root, `work` runs as we are. If root's identity cannot be restored, it throws in place of the
 * result, which ends the program.
 */
export function asServiceUser<T>(credentials: Credentials | null, work: () => T): T {
  if (credentials === null || process.geteuid?.() !== 0) return work()
  switches += 1
  const groups = process.getgroups?.() ?? []
  const gid = process.getegid?.() ?? 0
  try {
    // The groups come first: the user may not change them.
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
 * open(2) with this flag only names a place in the file system: nothing is read, and the right to read is not checked.
 * Node has no constant for it.
 */
export const O_PATH = 0o10000000

const holders = new Set<() => boolean>()

/** `holds` says whether a thread of this process may be in the kernel for long. Returns a function that removes it. */
export function addThreadHolder(holds: () => boolean): () => void {
  holders.add(holds)
  return () => holders.delete(holds)
}

/** False: `asServiceUser` could wait for another thread. Always true if it would not change the identity. */
export function mayBecomeUser(credentials: Credentials | null): boolean {
  if (credentials === null || process.geteuid?.() !== 0) return true
  return ![...holders].some(holds => holds())
}

/** Between two checks. */
const FREE_MS = 20

/** Resolves with true as soon as `mayBecomeUser` is true, or with false after `withinMs`. */
export async function mayBecomeUserWithin(credentials: Credentials | null, withinMs: number): Promise<boolean> {
  const sinceMs = performance.now()
  while (!mayBecomeUser(credentials)) {
    if (performance.now() - sinceMs >= withinMs) return false
    await delay(FREE_MS)
  }
  return true
}

/** The key is user and primary group. */
const knownGroups = new Map<string, number[]>()

/** The groups of a process of the service's user, the primary one first. Looked up once, and again by `renewGroups`. */
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

/** Stores groups that `renewGroups` found in another process. */
export function learnGroups(credentials: Credentials, groups: readonly number[]): void {
  knownGroups.set(groupsKey(credentials), [...groups])
}

function groupsKey({ user, gid }: Credentials): string {
  return `${user} ${gid}`
}
