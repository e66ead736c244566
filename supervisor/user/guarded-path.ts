/**
 * The one rule for every path that a root master, or a command of root, opens. If root alone decides where the path
 * leads, root opens it. If somebody else could put a link there, the path is opened as the service's user, so that the
 * kernel judges what that user may open.
 *
 * Root alone decides when, from `/` down, every folder, every link and the file itself belongs to root, and nobody else
 * may write to them:
 * - a sticky folder that everybody may write to (`/tmp`) is fine if the next component exists and belongs to root:
 *   nobody else can move it away;
 * - a folder that a group may write to is fine only for the groups to which distributions give folders of root
 *   (`SYSTEM_GROUPS`), unless the service's user is in it.
 * The walk goes top down and resolves links itself. So a user other than root can change no component after it was
 * judged, and there is no race between judging and opening. POSIX ACLs are not looked at: Node cannot read them.
 *
 * Must stay true: nothing here changes the work of a master that is not root, or that has no `uid` (`Opener` null),
 * except how root reads the INI that says so.
 */

import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, Failure } from '../../kit/ground/failure.js'
import { accountName, findCredentials } from './accounts.js'
import { asServiceUser, groupsOf } from './service-user.js'

/**
 * The identity for paths that root alone does not decide about. `unknown`: the service's user is not known yet (the INI
 * names it), so the path is opened as the owner of the component that root does not own. Null: our own.
 */
export type Opener = Credentials | 'unknown' | null

/**
 * The work at the end of the path. `content`: a link there is followed, and the file itself is judged too. `name`: the
 * name is made, moved or removed, or opened without following a link (O_NOFOLLOW); then the folder decides, and in a
 * sticky folder the owner of the name.
 */
export type PathUse = 'content' | 'name'

/** A component that others than root may change. `reason`: `/srv/site belongs to deploy`. */
export interface Weakness {
  uid: number
  gid: number
  mode: number
  reason: string
}

/** The user who opens a path: null for the process as it is; else the user, and the reason why it is not root. */
export interface Opening {
  as: Credentials | null
  reason: string
}

/** Linux's own bound (path_resolution(7)). */
const MOST_LINKS = 40

const STICKY = 0o1000
const GROUP_WRITES = 0o020
const OTHERS_WRITE = 0o002

/**
 * Ubuntu's /var/log belongs to root:syslog, Debian's /usr/local to root:staff; the system trusts the members of these
 * groups with such folders.
 */
const SYSTEM_GROUPS = ['root', 'wheel', 'admin', 'adm', 'staff', 'syslog']

const NOBODY = 65_534

/**
 * The result or error of `work`, done as the user who may open `path`. A refusal of the kernel names that user, and the
 * component that is the reason.
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
    // A root without CAP_SETUID, as in some containers, can give nothing to another user either.
    if (!hasBegun && opener === 'unknown') return work()
    throw explain(error, { as, reason })
  }
}

/** The error; for a refusal of the kernel also the user who opened the path. */
export function explain(error: unknown, { as, reason }: Opening): unknown {
  const cause = error instanceof Failure ? error.cause : error
  if (as === null || !(error instanceof Error) || !['EACCES', 'EPERM', 'EROFS'].includes(codeOf(cause))) return error
  const message = `${error.message} (${reason})`
  if (error instanceof Failure) return new Failure(error.code, message, error.exitCode, error)
  error.message = message
  return error
}

/**
 * The users besides root who may change where a path leads: the service's user, everybody, or others, those two among
 * them. Null: nobody of that kind. All hold a reason.
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
 * Why a folder may be a stranger's trap: a component of its path stands where everybody makes names, and belongs
 * neither to root nor to one of the `trusted`; or everybody may exchange it. Null: it is no trap, or there is no such
 * folder. Elsewhere the owner of the folder above has given the component to its owner.
 */
export function whyPlanted(path: string, trusted: readonly number[]): string | null {
  for (const { path: at, stats, isInSticky } of walk(path, 'content')) {
    if (stats === null) return null
    if (isInSticky && ![0, ...trusted].includes(stats.uid))
      return `${at} belongs to ${userName(stats.uid)}, in a folder that everybody may write to`
    if (stats.isDirectory() && !isSticky(stats) && (stats.mode & OTHERS_WRITE) !== 0)
      return `everybody may write to ${at}, which belongs to ${userName(stats.uid)}`
  }
  return null
}

/** The name of a user of /etc/passwd, or its number. */
export function userName(uid: number): string {
  return accountName(uid, textOf('/etc/passwd'))
}

interface Component {
  path: string
  /** Null: nothing has this name. */
  stats: Stats | null
  /** Everybody may make names in its folder, and nobody but its owner may move it away. */
  isInSticky: boolean
}

/**
 * The components that others than root may change, the first one first. A component after a weak one may change at any
 * time.
 */
function* weaknesses(path: string, use: PathUse, service: Credentials | null): Generator<Weakness> {
  for (const component of walk(path, use)) {
    const weak = judge(component, service)
    if (weak !== null) yield weak
  }
}

function judge({ path, stats, isInSticky }: Component, service: Credentials | null): Weakness | null {
  if (stats === null) {
    if (!isInSticky) return null
    return { uid: NOBODY, gid: NOBODY, mode: OTHERS_WRITE, reason: `anybody may make ${path}` }
  }
  const { uid, gid, mode } = stats
  const weak = (reason: string): Weakness => ({ uid, gid, mode: stats.isSymbolicLink() ? 0 : mode, reason })
  if (uid !== 0) return weak(`${path} belongs to ${userName(uid)}`)
  // A user who may write to the folder could have linked the file of the other name here.
  if (isInSticky && !stats.isDirectory() && stats.nlink !== 1) return weak(`${path} has a second name`)
  // The mode of anything else does not say who may change it: a link's means nothing, a socket's says who may connect.
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
  let at = '/'
  yield look(at, false)
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = at === '/' ? `/${name}` : `${at}/${name}`
    const component = look(next, stickies.has(at))
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

function look(path: string, isInSticky: boolean): Component {
  try {
    return { path, stats: lstatSync(path, { throwIfNoEntry: false }) ?? null, isInSticky }
  } catch {
    // EACCES on a network file system, ENAMETOOLONG, ELOOP: opening it will fail in the same way.
    return { path, stats: null, isInSticky }
  }
}

/** Others may write to it, but move only their own names. */
function isSticky(stats: Stats): boolean {
  return stats.isDirectory() && (stats.mode & STICKY) !== 0 && (stats.mode & (OTHERS_WRITE | GROUP_WRITES)) !== 0
}

function isSystemGroup(gid: number, service: Credentials | null): boolean {
  if (!SYSTEM_GROUPS.includes(gid === 0 ? 'root' : groupName(gid))) return false
  return service === null || !groupsOf(service).includes(gid)
}

/** The user who may change a weak component; if it is root's and others may write to it, a user without any rights. */
function changerOf({ uid }: Weakness): Credentials {
  if (uid === 0) return { user: null, uid: NOBODY, gid: NOBODY }
  const accounts = { passwd: textOf('/etc/passwd'), group: '', uid: 0, gid: 0 }
  const found = findCredentials(String(uid), null, accounts)
  return found.ok ? found.value : { user: null, uid, gid: NOBODY }
}

function groupName(gid: number): string {
  return accountName(gid, textOf('/etc/group'))
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // ENOENT: a system without it knows numbers only.
    return ''
  }
}
