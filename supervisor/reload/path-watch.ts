/**
 * Looks once a second at the paths of `touch-reload` and similar options, and reports changes (`watched-path.ts`).
 *
 * What must stay true: nothing blocks the master, not even a path on a file system that hangs, and only one look runs
 * at a time. A root master with another user's service looks through other processes, each as the user who may change
 * its path: a thread that hangs would delay each change of the master's identity (`child-look.ts`). That user is
 * determined only at the start and by a reload, because this lookup may hang too.
 */

import type { BigIntStats } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import type { Log } from '../../kit/log/log.js'
import type { Settings } from '../config/values/settings.js'
import { openingOf } from '../user/guarded-path.js'
import type { Pipes } from '../user/pipes.js'
import { ChildLooks } from './child-look.js'
import { type Look, type Seen, takeLook, type WatchOption } from './watched-path.js'

/** A path, and the option that watches it. */
export interface WatchedPath {
  option: WatchOption
  path: string
}

const LOOK_MS = 1000
/** The most entries of one folder that are looked at. */
const MOST_ENTRIES = 10_000

/** The paths that the settings watch. `files`: the files of the last reading, even if it had mistakes. */
export function watchedPaths(settings: Settings, files: readonly string[] = []): WatchedPath[] {
  const { touchReload, touchWorkersReload, touchChainReload, fsReload, iniReload, configFiles } = settings
  const all = (option: WatchOption, paths: readonly string[]) => paths.map(path => ({ option, path }))
  return [
    ...all('touch-reload', touchReload),
    ...all('touch-workers-reload', touchWorkersReload),
    ...all('touch-chain-reload', touchChainReload),
    ...all('fs-reload', fsReload),
    ...all('ini-reload', iniReload ? [...new Set([...configFiles, ...files])] : []),
  ]
}

/** `credentials`: the service's user. */
export interface PathWatchOptions {
  credentials: Credentials | null
  pipes: Pipes
  log: Log
  changed(watched: WatchedPath): void
}

interface Watched extends WatchedPath {
  seen: Seen | null
  /** The user who looks at the path. Null: our own. */
  as: Credentials | null
}

/** Watches until it is stopped. */
export class PathWatch {
  readonly #options: PathWatchOptions
  /** Null: this process looks at the paths itself. */
  readonly #children: ChildLooks | null
  #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null

  constructor(options: PathWatchOptions) {
    this.#options = options
    const { credentials, pipes, log } = options
    const tellBlind = (path: string, why: string) => log('watch-blind', { path, why })
    this.#children = changesIdentity(credentials) ? new ChildLooks({ pipes, tellBlind, tell: log }) : null
  }

  /** Watches exactly these paths. Known state of paths that stay is kept. */
  watch(paths: readonly WatchedPath[]): void {
    const before = this.#watched
    const keyed = paths.map(watched => [`${watched.option} ${watched.path}`, watched] as const)
    const { credentials } = this.#options
    const asOf = ({ path }: WatchedPath) => openingOf(path, 'content', credentials).as
    this.#watched = new Map(
      keyed.map(([key, watched]) => [key, { ...watched, as: asOf(watched), seen: before.get(key)?.seen ?? null }]),
    )
    if (paths.length === 0) return this.stop()
    this.#timer ??= setInterval(() => void this.look(), LOOK_MS)
    if ([...this.#watched.values()].some(({ seen }) => seen === null)) void this.look()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#watched.clear()
    this.#children?.stop()
  }

  /** Looks at all paths once. The timer calls it. If a look runs already, its promise is returned. */
  look(): Promise<void> {
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #lookAtAll(): Promise<void> {
    const all = [...this.#watched]
    if (this.#children === null) {
      for (const [key, watched] of all) this.#saw(key, watched, await lookAt(watched.option, watched.path))
      return
    }
    const looks = all.map(([key, { option, path, as }]) => ({ key, path, as, entries: option === 'fs-reload' }))
    const seen = await this.#children.look(looks)
    for (const [key, watched] of all) {
      const look = seen.get(key)
      if (look !== undefined) this.#saw(key, watched, look)
    }
  }

  #saw(key: string, watched: Watched, look: Look): void {
    // The path may not be watched any more.
    if (this.#watched.get(key) !== watched) return
    const { seen, hasChanged } = takeLook(watched.option, watched.seen, look)
    watched.seen = seen
    if (hasChanged) this.#options.changed({ option: watched.option, path: watched.path })
  }
}

/** Whether this process sometimes takes another user's identity. */
function changesIdentity(credentials: Credentials | null): boolean {
  return credentials !== null && process.geteuid?.() === 0
}

/**
 * A mark of the path: device, inode, modification time and size. For `fs-reload` also marks of a folder's entries,
 * whose changes inotify would report to uWSGI.
 */
async function lookAt(option: WatchOption, path: string): Promise<Look> {
  const found = await lookup(path)
  if (found === null) return null
  if (option !== 'fs-reload' || !found.isDirectory()) return mark(found)
  const marks: string[] = []
  try {
    for await (const { name } of await opendir(path)) {
      if (marks.length === MOST_ENTRIES) break
      const entry = await lookup(join(path, name))
      if (entry !== null) marks.push(`${name} ${mark(entry)}`)
    }
  } catch {
    // ENOENT, EACCES: the folder vanished, or may not be read. Then only its own mark counts.
  }
  return [mark(found), ...marks.sort()].join('\n')
}

async function lookup(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true })
  } catch {
    // ENOENT, ENOTDIR, EACCES, ELOOP: nothing can be seen.
    return null
  }
}

function mark({ dev, ino, mtimeNs, size }: BigIntStats): string {
  return `${dev}:${ino}:${mtimeNs}:${size}`
}
