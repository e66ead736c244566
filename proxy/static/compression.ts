/**
 * Compressed variants of files in the memory cache, each made once from the cached content. One per `StaticSite` while
 * compression is configured. `static/site.ts` adds them to what a look at the disk has found; `compressor.ts` does the
 * work in zlib's thread pool.
 *
 * No request waits for a variant: until it is ready, the response is plain, as the first one always is. The plain bytes
 * are in memory, and the hardest levels take seconds for a file that a client downloads in a fraction of one. The
 * responses have `Vary` from the first one on, so that a cache in between never gives one client's coding to another.
 *
 * What must stay true: a variant is made of exactly the plain file that it lies beside. A variant that was made, or was
 * not worth it, is not made again while the content is the same. Its tag depends on its own bytes too, because another
 * level or another zlib makes other bytes of the same file.
 */

import zlib from 'node:zlib'
import type { ContentCoding } from '../../kit/options/values/value-types.js'
import { type Coding, isTypeAmong } from '../http/content-coding.js'
import type { Compressor, Compressors } from '../process/compressor.js'
import type { StaticCache, Variants } from './cache.js'
import { StoredFile } from './stored-file.js'

/** The result of each coding that was tried; null: no smaller than the plain file, or no room beside it. */
type Made = Map<Coding, StoredFile | null>

/** Files in work at the same time. Each takes one thread of the pool, which the looks at the disk need too. */
const MOST_RUNNING = 2

export class StaticCompression {
  readonly #compressors: Compressors
  readonly #cache: StaticCache
  readonly #mostFileBytes: number
  /** By the plain file; an entry goes with its file. */
  readonly #made = new WeakMap<StoredFile, Made>()
  /** Keys of the cache, the first in line first; at most as many as there may be compressors. */
  readonly #waiting = new Set<string>()
  readonly #running = new Set<string>()
  #isClosed = false

  /** `mostFileBytes`: larger files are not in the cache. */
  constructor(compressors: Compressors, cache: StaticCache, mostFileBytes: number) {
    this.#compressors = compressors
    this.#cache = cache
    this.#mostFileBytes = mostFileBytes
  }

  /** Whether such a file has compressed variants, so that its responses vary with `Accept-Encoding`. */
  covers(contentType: string, sizeBytes: number): boolean {
    const { minBytes, types } = this.#compressors
    const isFit = sizeBytes > 0 && sizeBytes >= minBytes && sizeBytes <= this.#mostFileBytes
    return isFit && isTypeAmong(contentType, types)
  }

  /**
   * The variants found on disk, with those that were made of them. Siblings go first: they cost nothing, and may have
   * been made with more effort. `known`: all variants of an earlier look.
   */
  complete(found: Variants, known: Variants | null): Variants {
    const plain = plainOf(found)
    if (plain.body === null || !this.covers(plain.contentType, plain.sizeBytes)) return found
    const made = this.#madeOf(plain, known)
    const siblings = found.filter(variant => variant.place !== plain.place)
    for (const { coding } of siblings) made.delete(coding)
    const kept = this.#compressors.offered.flatMap(coding => made.get(coding) ?? [])
    const variants: StoredFile[] = [...siblings, ...kept, plain]
    return variants as [StoredFile, ...StoredFile[]]
  }

  /**
   * Begins to make the missing variants when their turn comes; `key` is their place in the cache. If too many are in
   * line, the next look at the disk asks again.
   */
  want(key: string, variants: Variants): void {
    if (this.#isClosed || this.#running.has(key) || this.#lacking(variants).length === 0) return
    if (this.#waiting.size >= this.#compressors.most) return
    this.#waiting.add(key)
    this.#start()
  }

  /** The cache is not used any more. */
  close(): void {
    this.#isClosed = true
    this.#waiting.clear()
  }

  #madeOf(plain: StoredFile, known: Variants | null): Made {
    let made = this.#made.get(plain)
    if (made === undefined) {
      made = this.#madeBefore(plain, known)
      this.#made.set(plain, made)
    }
    return made
  }

  /** A file that was only touched, or was read again because it is young, has the content that it had. */
  #madeBefore(plain: StoredFile, known: Variants | null): Made {
    const before = known === null ? undefined : plainOf(known)
    const made = before === undefined ? undefined : this.#made.get(before)
    if (made === undefined || plain.body === null || before?.body?.equals(plain.body) !== true) return new Map()
    return new Map(
      [...made].map(([coding, variant]) => [coding, variant?.body ? codedForm(plain, coding, variant.body) : null]),
    )
  }

  #lacking(variants: Variants): ContentCoding[] {
    const made = this.#made.get(plainOf(variants))
    if (made === undefined) return []
    const there: Set<Coding> = new Set(variants.map(variant => variant.coding))
    return this.#compressors.offered.filter(coding => !there.has(coding) && !made.has(coding))
  }

  #start(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= MOST_RUNNING) return
      this.#waiting.delete(key)
      this.#running.add(key)
      void this.#make(key).then(() => {
        this.#running.delete(key)
        this.#start()
      })
    }
  }

  async #make(key: string): Promise<void> {
    const variants = this.#cache.get(key)?.variants
    if (variants === undefined) return
    const plain = plainOf(variants)
    for (const coding of this.#lacking(variants)) {
      const compressor = plain.body === null ? null : this.#compressors.make(coding)
      // The most compressors are open: the next look asks again.
      if (compressor === null || plain.body === null) return
      const body = await compress(compressor, plain.body)
      if (!this.#keep(key, plain, coding, body)) return
    }
  }

  /** False: the file is another one now, or has left the cache. */
  #keep(key: string, plain: StoredFile, coding: ContentCoding, body: Buffer | null): boolean {
    const entry = this.#cache.get(key)
    const made = this.#made.get(plain)
    if (entry === undefined || made === undefined || plainOf(entry.variants) !== plain) return false
    const isWorthIt = body !== null && body.length < plain.sizeBytes
    made.set(coding, isWorthIt ? codedForm(plain, coding, body) : null)
    if (isWorthIt && !this.#cache.widen(key, this.complete(entry.variants, null))) made.set(coding, null)
    return true
  }
}

function plainOf(variants: Variants): StoredFile {
  return variants.at(-1) ?? variants[0]
}

function codedForm(plain: StoredFile, coding: Coding, body: Buffer): StoredFile {
  const { place, version, isYoung, contentType, vary, freshness, validators } = plain
  const entityTag = `${validators.entityTag.slice(0, -1)}-${coding}-${zlib.crc32(body).toString(36)}"`
  return new StoredFile({
    ...{ place, version, isYoung, contentType, vary, freshness, coding, body },
    validators: { ...validators, entityTag },
  })
}

/**
 * Fulfilled when the compressor counts no more. null: it failed, which for bytes in memory means a lack of memory; the
 * plain file will do.
 */
function compress(compressor: Compressor, body: Buffer): Promise<Buffer | null> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let isWhole = false
    compressor.on('data', (chunk: Buffer) => chunks.push(chunk))
    compressor.once('end', () => {
      isWhole = true
    })
    compressor.on('error', () => {})
    compressor.once('close', () => resolve(isWhole ? Buffer.concat(chunks) : null))
    compressor.end(body)
  })
}
