/**
 * Which folders of earlier releases stay reachable for static files, and until when (`asset-grace`). It hears of each
 * generation whose settings come into force; the proxies get its folders. Pure but for its memory; time is passed in.
 *
 * A static folder is known again in the next generation by its mount, or by its place among the `check-static` folders.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { Generation } from './master-context.js'

/**
 * Releases that are remembered for one folder: a deploy every few seconds must not make each miss look into hundreds.
 */
const MOST_RELEASES = 4

interface Earlier {
  key: string
  before: string
  untilMs: number
}

export class AssetGrace {
  #current: ReadonlyMap<string, string> = new Map()
  /** Newest first. */
  #earlier: Earlier[] = []

  /** The settings of `generation` come into force. `nowMs`: of the clock that all processes share. */
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

/** What a folder of the settings was resolved to when the generation began. */
export function realOf(release: Generation['release'], folder: string): string {
  return release.folders.get(folder) ?? folder
}
