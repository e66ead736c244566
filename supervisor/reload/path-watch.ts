/**
 * Looks at the paths that `touch-reload` and its like name, once a second, and tells which have changed
 * (`watched-path.ts`). Must stay true: nothing blocks the master, not even a path on a file system that hangs, and only
 * one look is under way at a time. A root master with another user's service looks by other processes, as the user who
 * decides about a path: a thread that hangs would hold up each change of its identity (`child-look.ts`). Who decides is
 * asked when the watch begins, at the start and by a reload, since the question itself may hang.
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
/** Of a folder; more are not looked at. */
const MOST_ENTRIES = 10_000

/** What the settings want watched; `files` are those that the last reading read, be it one with mistakes. */
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
  /** Who looks at it, null: as we are. */
  as: Credentials | null
}

/** Watches until it is stopped. */
export class PathWatch {
  readonly #options: PathWatchOptions
  /** Null: this process looks itself. */
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

  /** Watches these and no others; what is known of those that stay is kept. */
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

  /** Looks at all paths once, which the timer calls; the look that is under way is enough. */
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
    // It may have been given up meanwhile.
    if (this.#watched.get(key) !== watched) return
    const { seen, hasChanged } = takeLook(watched.option, watched.seen, look)
    watched.seen = seen
    if (hasChanged) this.#options.changed({ option: watched.option, path: watched.path })
  }
}

/** Whether this process becomes another user at times. */
function changesIdentity(credentials: Credentials | null): boolean {
  return credentials !== null && process.geteuid?.() === 0
}

/**
 * `touch-reload` and its like see the time of the thing itself; the others its size too, and what lies in a folder, as
 * inotify would tell uWSGI.
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
    // ENOENT, EACCES: it vanished, or may not be read; then its own times say what can be known.
  }
  return [mark(found), ...marks.sort()].join('\n')
}

async function lookup(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true })
  } catch {
    // ENOENT, ENOTDIR, EACCES, ELOOP: there is nothing to be seen.
    return null
  }
}

function mark({ dev, ino, mtimeNs, size }: BigIntStats): string {
  return `${dev}:${ino}:${mtimeNs}:${size}`
}
