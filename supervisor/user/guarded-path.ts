/**
 * The rule for every path that a root master, or a command of root, opens. If only root can change where the path
 * leads, root opens it. If another user could put a link there, the path is opened as the service's user, and the
 * kernel checks what that user may open.
 *
 * Only root can change the path if, from `/` down, every folder, every link and the file itself belongs to root, and
 * nobody else may write to them:
 * - In a sticky folder that everybody may write to (`/tmp`), only a folder of root is safe: nobody else can move it
 *   away, or move one in. A user who may write to a folder can move root's files and links from it to a sticky folder,
 *   under any name.
 * - The kernel must let root look at it. It does not in a FUSE file system that another user has mounted, which may be
 *   gone in the next moment. If /etc/fuse.conf says `user_allow_other`, such a file system shows root whatever that
 *   user chooses (`user-mounts.ts`).
 * - A folder that a group may write to is safe only if distributions give folders of root to that group
 *   (`SYSTEM_GROUPS`), and the service's user is not a member.
 *
 * The walk goes from the top down and resolves links itself. So no user but root can change a component after its
 * check, and there is no race between check and open. POSIX ACLs are ignored: Node cannot read them.
 *
 * What must stay true: this rule changes nothing for a master that is not root, or that has no `uid` (`Opener` null).
 * The only exception: root reads an INI by this rule before it knows that the INI has no `uid`.
 */

import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, Failure } from '../../kit/ground/failure.js'
import { groupName, passwdText, userName } from './account-names.js'
import { findCredentials } from './accounts.js'
import { asServiceUser, groupsOf } from './service-user.js'
import { userMounts, whyUserMount } from './user-mounts.js'

/**
 * The identity for paths that another user than root can change. `unknown`: the service's user is not known yet,
 * because the INI names it. Then the path is opened as the owner of the component that root does not own. Null: our own
 * identity.
 */
export type Opener = Credentials | 'unknown' | null

/**
 * The use of the path. `content`: a link at the end is followed, and the file itself is checked too. `name`: the name
 * is made, moved or removed, or opened without following a link (O_NOFOLLOW). Then the folder is checked, and in a
 * sticky folder also the owner of the name.
 */
export type PathUse = 'content' | 'name'

/** A component that another user than root may change. `reason`: `/srv/site belongs to deploy`. */
export interface Weakness {
  uid: number
  gid: number
  mode: number
  reason: string
}

/** The user who opens a path. `as` null: this process as it is. Otherwise `reason` says why it is not root. */
export interface Opening {
  as: Credentials | null
  reason: string
}

/** The limit of Linux (path_resolution(7)). */
const MOST_LINKS = 40

const STICKY = 0o1000
const GROUP_WRITES = 0o020
const OTHERS_WRITE = 0o002

/**
 * Groups that the system trusts with folders of root: Ubuntu's /var/log belongs to root:syslog, Debian's /usr/local to
 * root:staff.
 */
const SYSTEM_GROUPS = ['root', 'wheel', 'admin', 'adm', 'staff', 'syslog']

const NOBODY = 65_534

/**
 * Does `work` as the user who may open `path`. An error of the kernel then names that user, and the component that is
 * the reason.
 */
export function onGuardedPath<T>(path: string, use: PathUse, opener: Opener, work: () => T): T {
  return asOpening(openingOf(path, use, opener), opener, work)
}

/** The user who opens `path`. */
export function openingOf(path: string, use: PathUse, opener: Opener): Opening {
  if (opener === null || process.geteuid?.() !== 0) return { as: null, reason: '' }
  const [weak] = weaknesses(path, use, opener === 'unknown' ? null : opener)
  if (weak === undefined) return { as: null, reason: '' }
  const as = opener === 'unknown' ? changerOf(weak) : opener
  return { as, reason: `opened as ${userName(as.uid)}, because ${weak.reason}` }
}

/** Does `work` as `openingOf` says. */
export function asOpening<T>({ as, reason }: Opening, opener: Opener, work: () => T): T {
  if (as === null) return work()
  let hasBegun = false
  try {
    return asServiceUser(as, () => {
      hasBegun = true
      return work()
    })
  } catch (error) {
    // A root without CAP_SETUID, as in some containers, cannot own files for another user either.
    if (!hasBegun && opener === 'unknown') return work()
    throw explain(error, { as, reason })
  }
}

/** The error. If the kernel refused, its message also names the user who opened the path. */
export function explain(error: unknown, { as, reason }: Opening): unknown {
  const cause = error instanceof Failure ? error.cause : error
  if (as === null || !(error instanceof Error) || !['EACCES', 'EPERM', 'EROFS'].includes(codeOf(cause))) return error
  const message = `${error.message} (${reason})`
  if (error instanceof Failure) return new Failure(error.code, message, error.exitCode, error)
  error.message = message
  return error
}

/**
 * Why users other than root may change where a path leads: the service's user, everybody, or any other user (including
 * those two). Null: no such user may.
 */
export function changersOf(
  path: string,
  service: Credentials | null,
): Record<'service' | 'everybody' | 'others', string | null> {
  const found = [...weaknesses(path, 'content', service)]
  const isEverybodys = ({ mode }: Weakness): boolean => (mode & OTHERS_WRITE) !== 0
  const isServices = (weak: Weakness): boolean => {
    if (service === null) return false
    if (weak.uid === service.uid || isEverybodys(weak)) return true
    return (weak.mode & GROUP_WRITES) !== 0 && groupsOf(service).includes(weak.gid)
  }
  const reasonOf = (weak: Weakness | undefined) => weak?.reason ?? null
  return {
    service: reasonOf(found.find(isServices)),
    everybody: reasonOf(found.find(isEverybodys)),
    others: reasonOf(found[0]),
  }
}

/**
 * The reason why a folder may be a trap of another user. Either a component of its path lies in a folder where
 * everybody may make names, and belongs neither to root nor to a `trusted` user; or everybody may replace a component.
 * Null: it is no trap, or the folder does not exist. In any other folder, only the owner of the parent can have placed
 * the component.
 */
export function whyPlanted(path: string, trusted: readonly number[]): string | null {
  for (const { path: at, stats, hidden, isInSticky } of walk(path, 'content')) {
    if (hidden !== null) return hidden
    if (stats === null) return null
    if (isInSticky && ![0, ...trusted].includes(stats.uid))
      return `${at} belongs to ${userName(stats.uid)}, in a folder that everybody may write to`
    if (stats.isDirectory() && !isSticky(stats) && (stats.mode & OTHERS_WRITE) !== 0)
      return `everybody may write to ${at}, which belongs to ${userName(stats.uid)}`
  }
  return null
}

interface Component {
  path: string
  /** Null: it does not exist, or root may not look. */
  stats: Stats | null
  /** Why root cannot look at it. */
  hidden: string | null
  /** It lies in a folder where everybody may make names, and only the owner of a name may move it. */
  isInSticky: boolean
}

/**
 * The components that another user than root may change, from the top down. Everything below the first of them may
 * change at any time.
 */
function* weaknesses(path: string, use: PathUse, service: Credentials | null): Generator<Weakness> {
  for (const component of walk(path, use)) {
    const weak = judge(component, service)
    if (weak !== null) yield weak
  }
}

function judge({ path, stats, hidden, isInSticky }: Component, service: Credentials | null): Weakness | null {
  if (hidden !== null) return { uid: NOBODY, gid: NOBODY, mode: OTHERS_WRITE, reason: hidden }
  if (stats === null) {
    if (!isInSticky) return null
    return { uid: NOBODY, gid: NOBODY, mode: OTHERS_WRITE, reason: `anybody may make ${path}` }
  }
  const { uid, gid, mode } = stats
  const weak = (reason: string): Weakness => ({ uid, gid, mode: stats.isSymbolicLink() ? 0 : mode, reason })
  if (uid !== 0) return weak(`${path} belongs to ${userName(uid)}`)
  // Another user may have moved it here from a folder of its own.
  if (isInSticky && !stats.isDirectory()) return weak(`everybody may move things to ${dirname(path)}`)
  // For other types the mode does not say who may change them: the mode of a link means nothing, that of a socket says
  // who may connect.
  if (!stats.isFile() && !stats.isDirectory()) return null
  if (isSticky(stats)) return null
  if ((mode & OTHERS_WRITE) !== 0) return weak(`everybody may write to ${path}`)
  if ((mode & GROUP_WRITES) !== 0 && !isSystemGroup(gid, service))
    return weak(`the group ${groupName(gid)} may write to ${path}`)
  return null
}

function* walk(path: string, use: PathUse): Generator<Component> {
  const rest = partsOf(path.startsWith('/') ? path : `${process.cwd()}/${path}`)
  const stickies = new Set<string>()
  let links = 0
  const seen: Seen = { places: userMounts(), devices: new Map() }
  let at = '/'
  yield look(at, false, seen)
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = at === '/' ? `/${name}` : `${at}/${name}`
    const component = look(next, stickies.has(at), seen)
    const isName = use === 'name' && rest.length === 0
    if (!isName || component.isInSticky) yield component
    const { stats } = component
    if (stats === null || isName) return
    if (stats.isSymbolicLink()) {
      if (++links > MOST_LINKS) return
      const target = readlinkSync(next)
      rest.unshift(...partsOf(target))
      if (target.startsWith('/')) at = '/'
      continue
    }
    if (isSticky(stats)) stickies.add(next)
    at = next
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}

/** What one walk knows of mounts: the reason why a file system is not trusted, by mount point and by device. */
interface Seen {
  places: Map<string, string>
  devices: Map<number, string | null>
}

function look(path: string, isInSticky: boolean, { places, devices }: Seen): Component {
  const nothing = (hidden: string | null): Component => ({ path, stats: null, hidden, isInSticky })
  try {
    const owner = places.get(path)
    if (owner !== undefined) return nothing(owner)
    const stats = lstatSync(path, { throwIfNoEntry: false }) ?? null
    if (stats === null) return nothing(null)
    const { dev } = stats
    if (!devices.has(dev)) devices.set(dev, whyUserMount(path, dev))
    const hidden = devices.get(dev) ?? null
    return hidden === null ? { path, stats, hidden, isInSticky } : nothing(hidden)
  } catch (error) {
    // ENOTDIR: a parent is not a folder.
    if (codeOf(error) === 'ENOTDIR') return nothing(null)
    // EACCES: a FUSE file system of another user, or root on a network file system. ENOTCONN: FUSE without its server.
    return nothing(`root may not look at ${path} (${codeOf(error)})`)
  }
}

/** Whether others may write to the folder, but move only their own names. */
function isSticky(stats: Stats): boolean {
  return stats.isDirectory() && (stats.mode & STICKY) !== 0 && (stats.mode & (OTHERS_WRITE | GROUP_WRITES)) !== 0
}

function isSystemGroup(gid: number, service: Credentials | null): boolean {
  if (!SYSTEM_GROUPS.includes(gid === 0 ? 'root' : groupName(gid))) return false
  return service === null || !groupsOf(service).includes(gid)
}

/** The user who may change a weak component. If root owns it and others may write to it: a user without any rights. */
function changerOf({ uid }: Weakness): Credentials {
  if (uid === 0) return { user: null, uid: NOBODY, gid: NOBODY }
  const accounts = { passwd: passwdText(), group: '', uid: 0, gid: 0 }
  const found = findCredentials(String(uid), null, accounts)
  return found.ok ? found.value : { user: null, uid, gid: NOBODY }
}
