/**
 * File systems that a user other than root has mounted (fusermount3). Their owners and links are what that user says,
 * and they come and go at that user's wish. /proc/self/mountinfo names their owner: `user_id=` of FUSE
 * (proc_pid_mountinfo(5)).
 */

import { readFileSync } from 'node:fs'
import { userName } from './account-names.js'

/** Files of theirs may have a device number that no mount has: that of a subvolume, or of a lower layer. */
const MANY_DEVICES = ['btrfs', 'bcachefs', 'overlay', 'aufs']

interface Mount {
  device: string
  point: string
  type: string
  /** Who has mounted it, where the kernel says so. */
  userId: number
}

/**
 * The places of such file systems, and whose they are. A look there may wait without end. Read once for a path: a host
 * may have a thousand mounts.
 */
export function userMounts(mountinfo = readMountinfo): Map<string, string> {
  const lines = mountinfo()
    .split('\n')
    .filter(line => line.includes(' - fuse'))
  const foreign = lines.map(parseMount).filter(({ userId }) => userId !== 0)
  return new Map(foreign.map(mount => [mount.point, whose(mount)]))
}

/**
 * Why nothing counts that lstat(2) has said of `path`, on a `device` (`st_dev`). Null: the path lies in a file system
 * of root's, or the kernel does not tell mounts.
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

/** As the kernel prints spaces, tabs, line feeds and backslashes in paths. */
function withoutEscapes(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function holds(point: string, path: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`)
}

/** `major:minor`, as makedev(3) of glibc joins them. */
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
    // ENOENT: no /proc, or no Linux.
    return ''
  }
}
