/**
 * How much structure a message of JSON has, found by one look at its bytes and before it is parsed. To parse costs by
 * the value, not by the byte: 4 MB of `[[[`, or of an object with 180,000 keys, take up to half a second and 150 MB,
 * while 4 MB of text take milliseconds. Pure.
 *
 * It is no parser: of bytes that are no JSON it says anything, and the parser refuses those.
 */

/** The most that a message may have. */
export interface JsonBounds {
  /** Objects and lists in one another. */
  depth: number
  /** Opening brackets and commas: as many as there are values, and less than twice as many. */
  values: number
  /** Members of one object. Those of a list are bounded by `values`. */
  members: number
  /** Different keys in all, up to a hash: a parser makes a shape for each that is new. */
  keys: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const LIST = 0x5b
const LIST_END = 0x5d
const OBJECT = 0x7b
const OBJECT_END = 0x7d

/**
 * Unknown outside: nobody can choose keys that look like one. Drawn when it is needed: node:crypto takes some 10 ms to
 * load, which few workers need.
 */
let seed: number | null = null
const PRIME = 0x01000193

/** Whether the bytes from `start` to `end` stay within the bounds. Stops at the first excess. */
export function isWithin(bytes: Uint8Array, start: number, end: number, bounds: JsonBounds): boolean {
  let keys = 0
  const count = () => {
    keys += 1
    return true
  }
  if (!isBounded(bytes, start, end, bounds, count)) return false
  // As many keys in all are no more different ones: nearly every message ends here.
  if (keys <= bounds.keys) return true
  const seen = new SeenKeys(bounds.keys)
  return isBounded(bytes, start, end, bounds, (from, to) => seen.add(bytes, from, to))
}

/**
 * Whether depth, values and members stay within the bounds, and `takeKey` takes each key, told where it begins and
 * ends.
 */
function isBounded(
  bytes: Uint8Array,
  start: number,
  end: number,
  { depth, values, members }: JsonBounds,
  takeKey: (from: number, to: number) => boolean,
): boolean {
  /** For each level: what an object there may still have; a list is infinite. */
  const room = new Float64Array(depth + 1).fill(Number.POSITIVE_INFINITY)
  let level = 0
  let left = values - 1
  let isKey = false
  for (let at = start; at < end; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const last = endOfText(bytes, at, end)
        if (isKey && !takeKey(at + 1, last)) return false
        isKey = false
        at = last
        break
      }
      case COMMA:
        left -= 1
        room[level]! -= 1
        if (left < 0 || room[level]! < 0) return false
        isKey = room[level] !== Number.POSITIVE_INFINITY
        break
      case LIST:
      case OBJECT:
        left -= 1
        level += 1
        if (left < 0 || level > depth) return false
        isKey = bytes[at] === OBJECT
        room[level] = isKey ? members - 1 : Number.POSITIVE_INFINITY
        break
      case LIST_END:
      case OBJECT_END:
        level = Math.max(0, level - 1)
        isKey = false
        break
    }
  }
  return true
}

/** Where the text that begins at `from` has its closing quote. */
function endOfText(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from + 1; at < end; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at += 1
  }
  return end
}

class SeenKeys {
  readonly #hashes = new Set<number>()
  readonly #seed: number
  readonly #most: number

  constructor(most: number) {
    this.#most = most
    seed ??= process.getBuiltinModule('node:crypto').randomInt(2 ** 32)
    this.#seed = seed
  }

  /** False: there are too many. */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    let hash = this.#seed
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME)
    this.#hashes.add(hash)
    return this.#hashes.size <= this.#most
  }
}
