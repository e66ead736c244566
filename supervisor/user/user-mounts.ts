/**
 * File systems that a user other than root has mounted (fusermount3). That user decides which owners and links they
 * show, and when they come and go. /proc/self/mountinfo names the user: `user_id=` of FUSE (proc_pid_mountinfo(5)).
 */

import { readFileSync } from 'node:fs'
import { userName } from './account-names.js'

/** In these file systems a file may have a device number that no mount has: of a subvolume, or of a lower layer. */
const MANY_DEVICES = ['btrfs', 'bcachefs', 'overlay', 'aufs']

interface Mount {
  device: string
  point: string
  type: string
  /** The user who mounted it. 0: root, or the kernel does not say. */
  userId: number
}

/**
 * The mount points of such file systems, each with a text that names its user. lstat(2) on one of them may wait without
 * end. Read once for each path: a host may have a thousand mounts.
 */
export function userMounts(mountinfo = readMountinfo): Map<string, string> {
  const lines = mountinfo()
    .split('\n')
    .filter(line => line.includes(' - fuse'))
  const foreign = lines.map(parseMount).filter(({ userId }) => userId !== 0)
  return new Map(foreign.map(mount => [mount.point, whose(mount)]))
}

/**
 * Why the result of lstat(2) for `path` on `device` (`st_dev`) is not trusted. Null: the file system is root's, or the
 * kernel does not list mounts.
 */
export function whyUserMount(path: string, device: number, mountinfo = readMountinfo): string | null {
  const mounts = mountinfo().split('\n').filter(Boolean).map(parseMount)
  const same = mounts.filter(mount => mount.device === printDevice(device))
  const foreign = same.find(({ userId }) => userId !== 0)
  if (foreign !== undefined) return whose(foreign)
  if (same.length > 0 || mounts.length === 0) return null
  const [holder] = mounts.filter(({ point }) => holds(point, path)).sort((a, b) => b.point.length - a.point.length)
  if (holder !== undefined && MANY_DEVICES.includes(holder.type)) return null
  return `${path} lay in a file system that is gone`
}

function parseMount(line: string): Mount {
  const [own = '', rest = ''] = line.split(' - ')
  const [, , device = '', , point = ''] = own.split(' ')
  const [type = '', , options = ''] = rest.split(' ')
  const userId = type.startsWith('fuse') ? Number(/(?:^|,)user_id=(\d+)/.exec(options)?.[1] ?? 0) : 0
  return { device, point: withoutEscapes(point), type, userId }
}

function whose({ point, userId }: Mount): string {
  return `${point} is a file system of ${userName(userId)}`
}

/** The kernel escapes spaces, tabs, line feeds and backslashes in paths. */
function withoutEscapes(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function holds(point: string, path: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`)
}

/** `major:minor` of the number that glibc's makedev(3) makes. */
function printDevice(device: number): string {
  const bits = BigInt(device)
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n)
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

function readMountinfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    // ENOENT: the system has no /proc, or is not Linux.
    return ''
  }
}
