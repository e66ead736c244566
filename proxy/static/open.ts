/**
 * Opens the file that a path names inside a folder, for static files. What must stay true, whatever lies in the folder
 * and however it changes meanwhile: the descriptor decides, not the name (its type and its real path are checked after
 * opening). Nothing waits (a FIFO is opened without a writer, a device is not read). Nothing outside the folder's real
 * path is ever returned.
 */

import fs from 'node:fs'
import { codeOf, Failure, reasonOf } from '../../kit/ground/failure.js'
import type { FileVersion } from '../http/entity-tag.js'
import { nativePath } from '../http/file-name.js'
import { strictMs } from '../process/clock.js'
import { OpenFile } from './open-file.js'
import { WarmPaths } from './warm-paths.js'

/** `missing` also means that the path may not be seen: it leaves the folder, or is a FIFO, a socket or a device. */
export type Opened =
  | { kind: 'file'; file: OpenFile; version: OpenedVersion }
  | { kind: 'directory' }
  | { kind: 'missing' }
  | { kind: 'forbidden' }

/**
 * Tells one content from another, also if a tool sets the time of modification back: the kernel sets `changedNs`
 * itself.
 */
export interface OpenedVersion extends FileVersion {
  changedNs: bigint
}

/** Files up to this size are read in one go, so that head and body leave in one write. */
export const WHOLE_READ_BYTES = 128 * 1024

/** A folder with links resolved, and whether opening a file there can only wait for a local disk. */
interface Root {
  /** Bytes, each as a character: a real path need not be UTF-8. */
  realPath: string
  device: bigint
  /**
   * Of the folder itself. A network mount below it is noticed by the device of its files, but not for missing files.
   */
  isLocal: boolean
  readMs: number
}

const MISSING: Opened = { kind: 'missing' }
const FORBIDDEN: Opened = { kind: 'forbidden' }
const DIRECTORY: Opened = { kind: 'directory' }

/** NOCTTY takes no terminal; NOFOLLOW follows no link in the last segment: links are resolved and checked first. */
const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOFOLLOW | fs.constants.O_NOCTTY

/**
 * `f_type` of statfs(2): ext2-4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, squashfs, erofs. Network and FUSE file
 * systems can hang.
 */
const LOCAL_FILE_SYSTEMS = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0x73717368, 0xe0f5e1e2,
])

/** The error codes of opening; any other code is a Failure `file-unreadable`. */
const OUTCOMES = new Map<string, Opened | 'no-files'>([
  ['ENOENT', MISSING],
  ['ENOTDIR', MISSING],
  ['ENAMETOOLONG', MISSING],
  ['ELOOP', MISSING],
  // A unix socket, and a device without a driver.
  ['ENXIO', MISSING],
  ['ENODEV', MISSING],
  ['EOPNOTSUPP', MISSING],
  ['EACCES', FORBIDDEN],
  ['EPERM', FORBIDDEN],
  ['EMFILE', 'no-files'],
  ['ENFILE', 'no-files'],
])

/**
 * A folder that is a link may have been moved by a deploy. It is checked again after this time; a mismatch does it at
 * once.
 */
const ROOT_MS = 1000

/** One entry per folder of the configuration; `forgetRoots` when that changes. */
const roots = new Map<string, Root>()
const warmPaths = new WarmPaths()

/** Another configuration has other folders. */
export function forgetRoots(): void {
  roots.clear()
}

/**
 * Opens `folder` + `path`. `path` begins with `/`, has no segment `.` or `..` and no NUL, and its bytes as in
 * `file-name.ts`. Links may also lead into the folders `safe`. Throws a Failure: `no-files`, or `file-unreadable` for
 * an error of a disk or a file system.
 */
export async function openInside(folder: string, path: string, safe: readonly string[] = []): Promise<Opened> {
  const full = folder + path
  const native = nativePath(full)
  try {
    const nowMs = strictMs()
    const known = roots.get(folder)
    const root = known !== undefined && nowMs - known.readMs < ROOT_MS ? known : await readRoot(folder)
    const warm = root.isLocal ? warmPaths.get(full, nowMs) : undefined
    if (warm === 'missing' && fs.statSync(native, { throwIfNoEntry: false }) === undefined) return MISSING
    const fd = warm === 'file' ? fs.openSync(native, OPEN_FLAGS) : await open(native)
    return await judge({ fd, folders: [folder, ...safe], full, native, root, isWarm: warm === 'file' })
  } catch (thrown) {
    if (codeOf(thrown) === 'ELOOP') return openLinked([folder, ...safe], full, native)
    return outcomeOf(thrown, folder, full)
  }
}

/** The last segment is a link: opens its target, if that is inside. */
async function openLinked(folders: readonly string[], full: string, linked: string | Buffer): Promise<Opened> {
  try {
    const target = await realPath(linked)
    const root = await rootAround(folders, target)
    if (root === null) return MISSING
    const native = Buffer.from(target, 'latin1')
    return await judge({ fd: await open(native), folders, full: target, native, root, isWarm: false })
  } catch (thrown) {
    return outcomeOf(thrown, folders[0] ?? '', full)
  }
}

/** A descriptor that has not been checked yet, and the name that it was opened by. */
interface Candidate {
  fd: number
  /** Where it may lie. */
  folders: readonly string[]
  full: string
  native: string | Buffer
  root: Root
  isWarm: boolean
}

/**
 * Decides by the descriptor, and closes it unless it is returned. The kernel has just read these facts in order to open
 * the file, so they are asked for directly, without the thread pool.
 */
async function judge(candidate: Candidate): Promise<Opened> {
  const { fd, folders, full, native, root, isWarm } = candidate
  let opened: Opened = MISSING
  try {
    const stat = fs.fstatSync(fd, { bigint: true })
    if (!stat.isFile() && !stat.isDirectory()) return MISSING
    const place = placeOf(fd) ?? (await placeByName(native, stat))
    if (place === null || (!isInside(root.realPath, place) && (await rootAround(folders, place)) === null))
      return MISSING
    if (stat.isDirectory()) return DIRECTORY
    if (stat.dev === root.device) warmPaths.note(full, 'file', strictMs())
    const { mtimeNs: modifiedNs, ctimeNs: changedNs, ino: inode } = stat
    const version = { sizeBytes: Number(stat.size), modifiedNs, changedNs, inode }
    const isSmall = stat.size <= WHOLE_READ_BYTES
    const mode =
      isWarm && isSmall ? 'direct' : isSmall || !root.isLocal || stat.dev !== root.device ? 'pool' : 'watched'
    opened = { kind: 'file', file: new OpenFile(fd, mode), version }
    return opened
  } finally {
    if (opened.kind !== 'file') fs.closeSync(fd)
  }
}

function outcomeOf(thrown: unknown, folder: string, full: string): Opened {
  const outcome = OUTCOMES.get(codeOf(thrown))
  if (outcome === MISSING && roots.get(folder)?.isLocal) warmPaths.note(full, 'missing', strictMs())
  if (outcome !== undefined && outcome !== 'no-files') return outcome
  const code = outcome ?? 'file-unreadable'
  throw new Failure(code, `cannot open a static file: ${full}: ${reasonOf(thrown)}`, undefined, thrown)
}

/**
 * The first folder that `place` is inside of. The folder is checked again first: it may be a link that a deploy has
 * moved.
 */
async function rootAround(folders: readonly string[], place: string): Promise<Root | null> {
  for (const folder of folders) {
    const known = roots.get(folder)
    if (known !== undefined && isInside(known.realPath, place)) return known
    const fresh = await readRoot(folder).catch(missingRoot)
    if (fresh !== null && isInside(fresh.realPath, place)) return fresh
  }
  return null
}

function missingRoot(thrown: unknown): null {
  if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return null
  throw thrown
}

async function readRoot(folder: string): Promise<Root> {
  const path = await realPath(folder)
  const native = Buffer.from(path, 'latin1')
  const [stat, fileSystem] = await Promise.all([fs.promises.stat(native, { bigint: true }), fs.promises.statfs(native)])
  const root = {
    realPath: path,
    device: stat.dev,
    isLocal: LOCAL_FILE_SYSTEMS.has(fileSystem.type),
    readMs: strictMs(),
  }
  roots.set(folder, root)
  return root
}

function isInside(rootPath: string, place: string): boolean {
  return (
    place.startsWith(rootPath) &&
    (place[rootPath.length] === '/' || place.length === rootPath.length || rootPath === '/')
  )
}

/**
 * Where the kernel says that an open file is, as `Root.realPath`; null without a `/proc`. A deleted file has `
 * (deleted)` behind its path.
 */
function placeOf(fd: number): string | null {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`, 'latin1')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'EACCES') return null
    throw thrown
  }
}

/** The same without `/proc`: the real path of the name, if it still is the file that was opened. */
async function placeByName(native: string | Buffer, opened: fs.BigIntStats): Promise<string | null> {
  const place = await realPath(native)
  const stat = await fs.promises.stat(Buffer.from(place, 'latin1'), { bigint: true })
  return stat.dev === opened.dev && stat.ino === opened.ino ? place : null
}

function open(path: string | Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, OPEN_FLAGS, (error, fd) => (error === null ? resolve(fd) : reject(error)))
  })
}

/** As `Root.realPath`. */
function realPath(path: string | Buffer): Promise<string> {
  return fs.promises.realpath(path, 'latin1')
}
