/**
 * The one rule for every path that a root master, or root's command, opens: either root alone decides what the path
 * leads to, and root opens it; or somebody else could put a link there, and it is opened as the service's user, so
 * that the kernel judges what that user may open.
 *
 * Root alone decides when, from `/` down, every folder, every link and the thing itself belongs to root, and nobody
 * else may write to them:
 * - a sticky folder that everybody may write to (`/tmp`) is fine where the next component exists and belongs to root:
 *   nobody else can move it away;
 * - a folder that a group may write to is fine only for the groups to which distributions give folders of root
 *   (`SYSTEM_GROUPS`), unless the service's user is in it.
 * The walk goes top down and resolves links itself. So whoever is not root can change no component after it was
 * judged, and there is no race between judging and opening. POSIX ACLs are not looked at: Node cannot read them.
 *
 * Must stay true: nothing here changes what a master does that is not root, or that has no `uid` (`Opener` null), but
 * for how root reads the INI that says so.
 */

import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, Failure } from '../../kit/ground/failure.js'
import { accountName, findCredentials } from './accounts.js'
import { asServiceUser, groupsOf } from './service-user.js'

/**
 * As whom to open what root alone does not decide about. `unknown`: the service's user is not known yet (the INI says
 * who it is), so the path is opened as the owner of the component that root does not own. Null: as we are.
 */
export type Opener = Credentials | 'unknown' | null

/**
 * What is done at the end of the path. `content`: a link there is followed, and the thing itself is judged too.
 * `name`: what the name stands for is made, moved or removed, or opened without following a link (O_NOFOLLOW); then
 * the folder decides, and in a sticky one whose the name is.
 */
export type PathUse = 'content' | 'name'

/** A component that others than root may change. `reason`: `/srv/site belongs to deploy`. */
export interface Weakness {
  uid: number
  gid: number
  mode: number
  reason: string
}

/** Who opens a path: null for the process as it is; else the user, and why it is not root. */
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
 * Ubuntu's /var/log belongs to root:syslog, Debian's /usr/local to root:staff; who is in these groups is trusted with
 * such folders by the system.
 */
const SYSTEM_GROUPS = ['root', 'wheel', 'admin', 'adm', 'staff', 'syslog']

const NOBODY = 65_534

/**
 * What `work` returns or throws, done as whoever may open `path`. A refusal of the kernel says as whom, and because
 * of which component.
 */
export function onGuardedPath<T>(path: string, use: PathUse, opener: Opener, work: () => T): T {
  return asOpening(openingOf(path, use, opener), opener, work)
}

/** Who opens `path`. */
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

/** The error, and where it is a refusal of the kernel, as whom the path was opened. */
export function explain(error: unknown, { as, reason }: Opening): unknown {
  const cause = error instanceof Failure ? error.cause : error
  if (as === null || !(error instanceof Error) || !['EACCES', 'EPERM', 'EROFS'].includes(codeOf(cause))) return error
  const message = `${error.message} (${reason})`
  if (error instanceof Failure) return new Failure(error.code, message, error.exitCode, error)
  error.message = message
  return error
}

/**
 * Who may change what a path leads to, besides root: the service's user, everybody, or others, those two among them.
 * Null: nobody of that kind. All hold a reason.
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
 * neither to root nor to one of the `trusted`; or everybody may exchange it. Null: it is none, or there is no such
 * folder. A component that root does not own elsewhere was given to its owner by whoever owns the folder above.
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
  /** Null: there is nothing. */
  stats: Stats | null
  /** Everybody may make things in the folder that holds it, and nobody but its owner may move it away. */
  isInSticky: boolean
}

/**
 * The components that others than root may change, the first one first; what comes behind a weak one may change at
 * any time.
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
  // Whoever may write to the folder could have made the other name's thing appear here.
  if (isInSticky && !stats.isDirectory() && stats.nlink !== 1) return weak(`${path} has a second name`)
  // What the mode of anything else says is not who may change it: a link's means nothing, a socket's says who may
  // connect.
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

/** Others may write to it, but move only what is theirs. */
function isSticky(stats: Stats): boolean {
  return stats.isDirectory() && (stats.mode & STICKY) !== 0 && (stats.mode & (OTHERS_WRITE | GROUP_WRITES)) !== 0
}

function isSystemGroup(gid: number, service: Credentials | null): boolean {
  if (!SYSTEM_GROUPS.includes(gid === 0 ? 'root' : groupName(gid))) return false
  return service === null || !groupsOf(service).includes(gid)
}

/** Whoever may change a weak component; of root's own, that others may write to, somebody without any rights. */
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
