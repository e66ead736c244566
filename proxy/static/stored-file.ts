/**
 * One variant of a file as it was last seen on disk: what heads say about it, and the content of a small file.
 * `static/lookup.ts` makes it, and `static/compression.ts` from content in memory.
 *
 * What must stay true: a buffer that `wire` has returned is never written to again, because a slow client may still be
 * waiting for it.
 */

import { NO_CONDITIONS } from '../http/conditions.js'
import type { Coding } from '../http/content-coding.js'
import type { Validators } from '../http/preconditions.js'
import { type Representation, responseForFile, type StaticResponse } from './files.js'
import type { Freshness } from './freshness.js'
import { printHead } from './head.js'
import type { OpenedVersion } from './open.js'

/** A name inside a folder, as `openInside` takes them. */
export interface Place {
  folder: string
  path: string
}

export interface StoredFileFacts extends Omit<Representation, 'sizeBytes'> {
  /** The place of the bytes on disk and their version. A variant made in memory has those of the plain file. */
  place: Place
  version: OpenedVersion
  /** The whole content, null if it is too large for memory. */
  body: Buffer | null
  /** The file may have changed again without a trace: it must be read again, whatever its times say. */
  isYoung: boolean
}

const PLAIN_GET = { method: 'GET', conditions: NO_CONDITIONS }
const FRESH_GET = { method: 'GET', conditions: { 'if-none-match': '*' } }

export class StoredFile implements Representation {
  readonly place: Place
  readonly version: OpenedVersion
  readonly isYoung: boolean
  readonly sizeBytes: number
  readonly validators: Validators
  readonly contentType: string
  readonly coding: Coding
  readonly vary: string
  readonly freshness: Freshness | null
  #body: Buffer | null
  #wire: Buffer | null = null
  #wireDate = ''
  #notModified: Buffer | null = null
  #notModifiedDate = ''

  constructor(facts: StoredFileFacts) {
    this.place = facts.place
    this.version = facts.version
    this.isYoung = facts.isYoung
    this.sizeBytes = facts.body?.length ?? facts.version.sizeBytes
    this.validators = facts.validators
    this.contentType = facts.contentType
    this.coding = facts.coding
    this.vary = facts.vary
    this.freshness = facts.freshness
    this.#body = facts.body
  }

  get body(): Buffer | null {
    return this.#body
  }

  /**
   * The response to a plain GET on a connection that stays, head and body in one; null if the body is not in memory.
   * Made once a second, for its `date`. The content is in memory once: in the last one made.
   */
  wire(date: string): Buffer | null {
    if (this.#wireDate === date) return this.#wire
    const body = this.#body
    if (body === null) return null
    const head = printHead(this.#plainResponse(PLAIN_GET), date, false)
    const wire = Buffer.allocUnsafeSlow(head.length + body.length)
    wire.write(head, 'latin1')
    body.copy(wire, head.length)
    this.#body = wire.subarray(head.length)
    this.#wire = wire
    this.#wireDate = date
    return wire
  }

  /** The 304 on a connection that stays. */
  notModified(date: string): Buffer {
    if (this.#notModified === null || this.#notModifiedDate !== date) {
      this.#notModified = Buffer.from(printHead(this.#plainResponse(FRESH_GET), date, false), 'latin1')
      this.#notModifiedDate = date
    }
    return this.#notModified
  }

  #plainResponse(request: Parameters<typeof responseForFile>[1]): StaticResponse {
    return responseForFile(this, request, Date.now(), () => '')
  }
}
