/**
 * What was last seen on disk for a path, for less than a second, in bounded memory. Owned by `static/site.ts`, which
 * looks on disk.
 *
 * What must stay true: nothing is given out that was looked up longer ago than `STALE_MS`, counted from before the look
 * began. So whatever happens to the name (rewritten, renamed over, deleted, made a link, a FIFO or unreadable), a
 * client sees it within a second. While requests come, the next look begins at `FRESH_MS`, beside them: none of them
 * waits for it.
 *
 * Bounded in bytes and entries. Each look puts its entry last, so what goes first is what was asked for longest ago, to
 * half a second, at no cost to a hit.
 */

import type { StoredFile } from './stored-file.js'

/** All forms of a file, stored and made, the server's favourite first, the file itself last. */
export type Variants = readonly [StoredFile, ...StoredFile[]]

export interface CacheEntry {
  readonly variants: Variants
  readonly lookedMs: number
  readonly bytes: number
  /** The next look is under way. */
  isLooking: boolean
}

/** From this age on an entry is looked at again as soon as it is asked for, and past the second it is not given out. */
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

  /** What is there, however old: its age is the caller's to judge. */
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
   * More forms of what lies there, of the same look and at its place in the order. False: there is no room for them,
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
