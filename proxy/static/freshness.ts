/**
 * How long a client may keep a file without asking: `Expires` and `Cache-Control` from the `static-expires*` rules and
 * from names that contain a hash of the content. Pure.
 */

import type { StaticSettings } from '../../kit/channel/messages.js'
import { printHttpDate } from '../http/http-date.js'

/** The values that the rules are matched against. `uri` null: not known yet; rules for it are skipped. */
export interface FreshnessSubject {
  /** Content type without parameters. */
  type: string
  /** Absolute path of the file. */
  file: string
  /** Decoded path of the request. */
  path: string
  /** Request target as received, with its query. */
  uri: string | null
  modifiedMs: number
}

/**
 * `fromMs` null: the time counts from each response on. A time: it counts from then on, however late the response is.
 */
export interface Freshness {
  seconds: number
  fromMs: number | null
  immutable: boolean
}

const YEAR_SECONDS = 365 * 24 * 3600

/** The rules of one configuration, compiled. */
export class FreshnessRules {
  readonly #rules: { by: 'type' | 'file' | 'path' | 'uri'; pattern: RegExp; seconds: number; fromModified: boolean }[]
  readonly #immutable: boolean
  /** Whether the query can decide, so that one path can have several responses. */
  readonly dependOnUri: boolean

  constructor({ staticExpires, staticImmutable }: Pick<StaticSettings, 'staticExpires' | 'staticImmutable'>) {
    this.#rules = staticExpires.map(({ by, pattern, seconds, from }) => ({
      by,
      pattern: by === 'type' ? new RegExp(`^${escaped(pattern.toLowerCase())}$`) : new RegExp(pattern),
      seconds,
      fromModified: from === 'modified',
    }))
    this.#immutable = staticImmutable
    this.dependOnUri = staticExpires.some(({ by }) => by === 'uri')
  }

  /** The first rule that matches; a hashed name goes before all rules. null: no fields, and clients guess. */
  of(subject: FreshnessSubject): Freshness | null {
    if (this.#immutable && (isHashedName(subject.file) || isOfBuild(subject)))
      return { seconds: YEAR_SECONDS, fromMs: null, immutable: true }
    for (const { by, pattern, seconds, fromModified } of this.#rules) {
      const text = subject[by]
      if (text !== null && pattern.test(text)) {
        return { seconds, fromMs: fromModified ? subject.modifiedMs : null, immutable: false }
      }
    }
    return null
  }
}

/** `Expires` and `Cache-Control` at `nowMs`. Both, because HTTP/1.0 caches know only the first. */
export function freshnessFields(freshness: Freshness | null, nowMs: number): [name: string, value: string][] {
  if (freshness === null) return []
  const expiresMs = (freshness.fromMs ?? nowMs) + freshness.seconds * 1000
  const maxAge = Math.max(0, Math.floor((expiresMs - nowMs) / 1000))
  return [
    ['Expires', printHttpDate(expiresMs)],
    ['Cache-Control', `max-age=${maxAge}${freshness.immutable ? ', immutable' : ''}`],
  ]
}

/**
 * Whether a framework never changes files below this path, whatever their names are: Next's `_next/static/` (where a
 * hash may stand at the start of a name, behind `~`, or in a folder), except that of its development server, and
 * SvelteKit's `_app/immutable/`. Both frameworks send such files in the same way. The file must be the one that the
 * path names: a `static-fallback` page is another one.
 */
export function isOfBuild({ path, file }: Pick<FreshnessSubject, 'path' | 'file'>): boolean {
  const [, below] = /\/(?:_next\/static\/(?!development\/|webpack\/)|_app\/immutable\/)(.+)/.exec(path) ?? []
  return below !== undefined && file.endsWith(`/${below}`)
}

/**
 * Whether the name contains a hash of the content. The last part of the stem, behind its last `.` or `-`, must be a
 * hash as bundlers write it. Either 8 to 64 hexadecimal digits in small letters, with at least one digit and one
 * letter. Or exactly eight letters, digits and `_`, with a digit and a capital letter, that change at least three times
 * between small letters, capital letters and digits (Vite, Rollup), or that are all of `A-Z2-7` (esbuild). The stem
 * ends at the first dot behind the hash, so `app.3f9c2a1b.js.map` counts. A date, a version or a word with a number
 * does not: a file that is wrongly called immutable stays for a year.
 */
export function isHashedName(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  for (const [, part = ''] of name.matchAll(/(?<=[^.-][.-])(\w{8,64})(?=\.)/g)) {
    if (isHash(part)) return true
  }
  return false
}

function isHash(part: string): boolean {
  if (!/\d/.test(part)) return false
  if (/^[\da-f]+$/.test(part)) return /[a-f]/.test(part)
  if (part.length !== 8 || !/[A-Z]/.test(part)) return false
  return /^[A-Z2-7]+$/.test(part) || (part.match(/[a-z]+|[A-Z]+|\d+/g) ?? []).length > 3
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
