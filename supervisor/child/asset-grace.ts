/**
 * Which folders of earlier releases still serve static files, and until when (`asset-grace`). It gets each generation
 * whose settings come into force, and the proxies get its folders. It has memory; the time is passed in.
 *
 * A static folder of the next generation replaces the one with the same mount, or with the same place among the
 * `check-static` folders.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Generation } from './master-context.js'

/**
 * The most earlier releases of one folder. After a deploy every few seconds, a missing file must not cause lookups in
 * hundreds of folders.
 */
const MOST_RELEASES = 4

interface Earlier {
  key: string
  before: string
  untilMs: number
}

export class AssetGrace {
  #current: ReadonlyMap<string, string> = new Map()
  /** The newest first. */
  #earlier: Earlier[] = []

  /** The settings of `generation` come into force. `nowMs`: the clock that all processes share. */
  enter(
    { settings, release }: Pick<Generation, 'settings' | 'release'>,
    nowMs: number,
  ): ProxySettings['previousFolders'] {
    const next = new Map<string, string>([
      ...settings.staticMap.map(({ mount, folder }) => [`mount ${mount}`, realOf(release, folder)] as const),
      ...settings.checkStatic.map((folder, index) => [`check ${index}`, realOf(release, folder)] as const),
    ])
    const untilMs = nowMs + settings.assetGraceMs
    const left = [...this.#current].flatMap(([key, before]) =>
      next.get(key) === before ? [] : [{ key, before, untilMs }],
    )
    this.#earlier = [...left, ...this.#earlier].filter(
      each => each.untilMs > nowMs && next.get(each.key) !== each.before,
    )
    this.#current = next
    return [...next].flatMap(([key, folder]) =>
      this.#earlier
        .filter(each => each.key === key)
        .slice(0, MOST_RELEASES)
        .map(({ before, untilMs }) => ({ folder, before, untilMs })),
    )
  }
}

/** The real path of a folder of the settings at the beginning of the generation. */
export function realOf(release: Generation['release'], folder: string): string {
  return release.folders.get(folder) ?? folder
}
