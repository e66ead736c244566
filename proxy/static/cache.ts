/**
 * What was last seen on disk for a path, for less than a second, in bounded memory. `static/site.ts` looks on disk.
 *
 * What must stay true: no entry is used whose look began more than `STALE_MS` ago. So whatever happens to the name
 * (rewritten, renamed over, deleted, made a link, a FIFO or unreadable), a client sees it within a second. While
 * requests come, the next look begins at `FRESH_MS`, beside them: none of them waits for it.
 *
 * Bounded in bytes and entries. Approximate LRU: entries move on revalidation, not on every hit. So the order is right
 * to half a second, and a hit costs nothing.
 */

import type { StoredFile } from './stored-file.js'

/** All variants of a file, stored and made: the server's favourite first, the plain file last. */
export type Variants = readonly [StoredFile, ...StoredFile[]]

export interface CacheEntry {
  readonly variants: Variants
  readonly lookedMs: number
  readonly bytes: number
  /** The next look is under way. */
  isLooking: boolean
}

/** From FRESH_MS on, the next request for an entry starts a new look; from STALE_MS on, the entry is not used. */
export const FRESH_MS = 400
export const STALE_MS = 900

/** An entry without its content: names, fields, prepared heads. */
const ENTRY_BYTES = 2048

export class StaticCache {
  readonly #entries = new Map<string, CacheEntry>()
  readonly #mostBytes: number
  readonly #mostEntries: number
  #bytes = 0

  /** 0 bytes: keeps nothing. */
  constructor(mostBytes: number, mostEntries: number) {
    this.#mostBytes = mostBytes
    this.#mostEntries = mostEntries
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  /** The entry, however old: the caller judges its age. */
  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key)
  }

  /** `lookedMs`: monotonic, from before the look began. */
  put(key: string, variants: Variants, lookedMs: number): void {
    this.drop(key)
    const bytes = bytesOf(key, variants)
    if (bytes > this.#mostBytes || this.#mostEntries === 0) return
    this.#entries.set(key, { variants, lookedMs, bytes, isLooking: false })
    this.#bytes += bytes
    this.#dropOldest()
  }

  /**
   * More variants of an entry, of the same look and at its place in the order. False: there is no room for them, and
   * the entry stays as it is.
   */
  widen(key: string, variants: Variants): boolean {
    const entry = this.#entries.get(key)
    const bytes = bytesOf(key, variants)
    if (entry === undefined || bytes > this.#mostBytes) return false
    this.#entries.set(key, { ...entry, variants, bytes })
    this.#bytes += bytes - entry.bytes
    this.#dropOldest()
    return true
  }

  drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }

  #dropOldest(): void {
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#mostBytes && this.#entries.size <= this.#mostEntries) break
      this.drop(oldest)
    }
  }
}

function bytesOf(key: string, variants: Variants): number {
  return variants.reduce(
    (sum, variant) => sum + (variant.body?.length ?? 0),
    ENTRY_BYTES * variants.length + key.length,
  )
}
