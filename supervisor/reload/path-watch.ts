/**
 * Looks at the paths that `touch-reload` and its like name, once a second, and tells which have changed (`watched-path.ts`). Owned by
 * `process-tree.ts`. Must stay true: nothing blocks the master, not even a path on a file system that hangs, unless root becomes another
 * user meanwhile, which waits for all threads: whoever can put that off asks first (`service-user.ts`). Only one look is under way at a time.
 * A root master looks as root, also where others may plant a link: all that they learn is that the thing there has
 * changed, by a reload.
 */

import type { BigIntStats } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settings } from '../config/values/settings.js'
import { addThreadHolder, identitySwitches } from '../user/service-user.js'
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

/** Watches until it is stopped. */
export class PathWatch {
  readonly #changed: (watched: WatchedPath) => void
  #watched = new Map<string, WatchedPath & { seen: Seen | null }>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null

  constructor(changed: (watched: WatchedPath) => void) {
    this.#changed = changed
  }

  /** Watches these and no others; what is known of those that stay is kept. */
  watch(paths: readonly WatchedPath[]): void {
    const before = this.#watched
    const keyed = paths.map(watched => [`${watched.option} ${watched.path}`, watched] as const)
    this.#watched = new Map(keyed.map(([key, watched]) => [key, before.get(key) ?? { ...watched, seen: null }]))
    if (paths.length === 0) return this.stop()
    this.#timer ??= setInterval(() => void this.look(), LOOK_MS)
    if ([...this.#watched.values()].some(({ seen }) => seen === null)) void this.look()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#watched.clear()
  }

  /** Looks at all paths once, which the timer calls; the look that is under way is enough. */
  look(): Promise<void> {
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #lookAtAll(): Promise<void> {
    for (const [key, watched] of this.#watched) {
      const removeHolder = addThreadHolder(() => true)
      const look = await lookAt(watched.option, watched.path).finally(removeHolder)
      // It may have been given up meanwhile.
      if (this.#watched.get(key) !== watched) continue
      const { seen, hasChanged } = takeLook(watched.option, watched.seen, look)
      watched.seen = seen
      if (hasChanged) this.#changed({ option: watched.option, path: watched.path })
    }
  }
}

/** `touch-reload` and its like see the time of the thing itself; the others its size too, and what lies in a folder, as inotify would tell uWSGI. */
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
  for (;;) {
    const before = identitySwitches()
    try {
      return await stat(path, { bigint: true })
    } catch {
      // ENOENT, ENOTDIR, EACCES, ELOOP: there is nothing to be seen, unless it was the service's user who looked.
      if (identitySwitches() === before) return null
    }
  }
}

function mark({ dev, ino, mtimeNs, size }: BigIntStats): string {
  return `${dev}:${ino}:${mtimeNs}:${size}`
}
