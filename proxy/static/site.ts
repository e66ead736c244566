/** The files of one configuration: from a path to what is stored under it, through the cache or from disk. */

import type { StaticSettings } from '../../kit/channel/messages.js'
import { sharedMs } from '../../kit/ground/shared-clock.js'
import { strictMs } from '../process/clock.js'
import type { Compressors } from '../process/compressor.js'
import { FRESH_MS, STALE_MS, StaticCache, type Variants } from './cache.js'
import { StaticCompression } from './compression.js'
import { FreshnessRules } from './freshness.js'
import { type Found, type LookupRules, lookUp, type Question } from './lookup.js'
import { forgetRoots, WHOLE_READ_BYTES } from './open.js'

/** A question without the known variants. */
export type Asked = Omit<Question, 'known'>

export class StaticSite {
  readonly settings: StaticSettings
  readonly cache: StaticCache
  readonly #rules: LookupRules
  readonly #compression: StaticCompression | null
  readonly #looks = new Map<string, { begunMs: number; found: Promise<Found> }>()

  /** `compressors`: of the configuration, null for none. */
  constructor(settings: StaticSettings, compressors: Compressors | null) {
    forgetRoots()
    this.settings = settings
    this.cache = new StaticCache(settings.staticCacheSizeBytes, settings.staticCacheEntries)
    const { staticCacheSizeBytes, staticCacheFileSizeBytes } = settings
    const compression =
      compressors === null || staticCacheSizeBytes === 0
        ? null
        : new StaticCompression(compressors, this.cache, staticCacheFileSizeBytes)
    this.#compression = compression
    this.#rules = {
      files: settings,
      freshness: new FreshnessRules(settings),
      wholeBytes: staticCacheSizeBytes === 0 ? WHOLE_READ_BYTES : staticCacheFileSizeBytes,
      isCompressed: (contentType, sizeBytes) => compression?.covers(contentType, sizeBytes) ?? false,
      previous: folder => {
        if (settings.previousFolders.length === 0) return NONE
        const nowMs = sharedMs()
        return settings.previousFolders.flatMap(each =>
          each.folder === folder && each.untilMs > nowMs ? [each.before] : [],
        )
      },
    }
  }

  /** Another configuration takes over. */
  close(): void {
    this.#compression?.close()
  }

  /** The key of the cached response. If the query decides about `Expires`, it is a part of the key. */
  keyOf(path: string, target: string): string {
    return this.#rules.freshness.dependOnUri ? `${path}\0${target}` : path
  }

  /**
   * What is stored under a path, if that was seen less than a second ago; touches no disk. `ask` makes the question of
   * the next look when that is due.
   */
  recall(key: string, nowMs: number, ask: () => Asked): Variants | null {
    const entry = this.cache.get(key)
    if (entry === undefined) return null
    const ageMs = nowMs - entry.lookedMs
    if (ageMs > FRESH_MS) {
      if (ageMs > STALE_MS) return null
      if (!entry.isLooking) {
        entry.isLooking = true
        // An error of the disk is left to the next request, which asks the disk itself and waits.
        this.find(key, ask()).catch(() => {})
      }
    }
    return entry.variants
  }

  /** What is on disk now. Requests for the same key shortly after get the same. Throws the Failures of `openInside`. */
  find(key: string, asked: Asked): Promise<Found> {
    const begunMs = strictMs()
    const running = this.#looks.get(key)
    if (running !== undefined && begunMs - running.begunMs < FRESH_MS) return running.found
    const look = { begunMs, found: this.#look(key, asked, begunMs) }
    this.#looks.set(key, look)
    const done = () => {
      if (this.#looks.get(key) === look) this.#looks.delete(key)
    }
    look.found.then(done, done)
    return look.found
  }

  async #look(key: string, asked: Asked, begunMs: number): Promise<Found> {
    const known = this.cache.get(key)?.variants ?? null
    const found = this.#complete(await lookUp({ ...asked, known }, this.#rules), known)
    // A look that began later may have ended before.
    if ((this.cache.get(key)?.lookedMs ?? 0) > begunMs) return found
    if (found.kind === 'file') {
      this.cache.put(key, found.variants, begunMs)
      this.#compression?.want(key, found.variants)
    } else this.cache.drop(key)
    return found
  }

  #complete(found: Found, known: Variants | null): Found {
    if (this.#compression === null || found.kind !== 'file') return found
    return { kind: 'file', variants: this.#compression.complete(found.variants, known) }
  }
}

const NONE: readonly string[] = []
