/**
 * Bounds the structure of a JSON message, by one pass over its bytes before it is parsed. The cost of parsing depends
 * on the values, not on the bytes: 4 MB of `[[[`, or of an object with 180,000 keys, take up to half a second and 150
 * MB, while 4 MB of text take milliseconds. Pure.
 *
 * It is no parser: for bytes that are not JSON its result means nothing, and the parser refuses them.
 */

/** The most that a message may have. */
export interface JsonBounds {
  /** Objects and lists in one another. */
  depth: number
  /** Opening brackets and commas: as many as there are values, and less than twice as many. */
  values: number
  /** Members of one object. Those of a list are bounded by `values`. */
  members: number
  /**
   * Different beginnings of objects in all, up to a hash: `a` and `a, b` of `{"a":1,"b":2}`. V8 makes a hidden class
   * for each, which costs up to 5 KB and 1 µs or more, and another one for the same keys in another order. Different
   * keys are never more.
   */
  beginnings: number
  /**
   * Numerals in all: texts that are a whole number of at most ten digits, such as `"200"`. The V8 of older Nodes
   * (20.19.5) takes the number itself for the hash of such a text: a sender can choose 60,000 that collide, and to
   * parse them takes 5 s.
   */
  numerals: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const LIST = 0x5b
const LIST_END = 0x5d
const OBJECT = 0x7b
const OBJECT_END = 0x7d
const ZERO = 0x30
const NINE = 0x39
/** Of `\u0031`. */
const ESCAPE_BYTES = 6
const LONGEST_NUMERAL = 10

/**
 * Secret, so nobody can choose keys with equal hashes. Drawn on first use: node:crypto takes about 10 ms to load, and
 * few workers need it.
 */
let seed: number | null = null
const PRIME = 0x01000193

/**
 * Whether the bytes from `start` to `end` stay within the bounds. Stops at the first excess. `found` is told how many
 * numerals there are, if there are any.
 */
export function isWithin(
  bytes: Uint8Array,
  start: number,
  end: number,
  bounds: JsonBounds,
  found?: (numerals: number) => void,
): boolean {
  let keys = 0
  const count = () => {
    keys += 1
    return 0
  }
  const numerals = numeralsWithin(bytes, start, end, bounds, count)
  if (numerals === null) return false
  // There are never more different beginnings than keys, so nearly every message ends here.
  if (keys > bounds.beginnings) {
    const seen = new SeenBeginnings(bounds.beginnings)
    const add: TakeKey = (from, to, before) => seen.add(bytes, from, to, before)
    if (numeralsWithin(bytes, start, end, bounds, add) === null) return false
  }
  if (numerals > 0) found?.(numerals)
  return true
}

/**
 * Takes the key from `from` to `to` behind the beginning `before` (0: none). Returns the beginning that ends with this
 * key, or null if there are too many.
 */
type TakeKey = (from: number, to: number, before: number) => number | null

/**
 * The number of numerals. Null: depth, values, members or numerals do not stay within the bounds, or `takeKey` does not
 * take a key.
 */
function numeralsWithin(
  bytes: Uint8Array,
  start: number,
  end: number,
  { depth, values, members, numerals: most }: JsonBounds,
  takeKey: TakeKey,
): number | null {
  /** For each level: how many members the object there may still have; infinite for a list. */
  const room = new Float64Array(depth + 1).fill(Number.POSITIVE_INFINITY)
  /** For each level: the beginning of the object there. */
  const beginnings = new Int32Array(depth + 1)
  let level = 0
  let left = values - 1
  let numerals = 0
  let isKey = false
  for (let at = start; at < end; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const last = endOfText(bytes, at, end)
        if (isKey) {
          const beginning = takeKey(at + 1, last, beginnings[level]!)
          if (beginning === null) return null
          beginnings[level] = beginning
        }
        if (isNumeral(bytes, at + 1, last)) numerals += 1
        if (numerals > most) return null
        isKey = false
        at = last
        break
      }
      case COMMA:
        left -= 1
        room[level]! -= 1
        if (left < 0 || room[level]! < 0) return null
        isKey = room[level] !== Number.POSITIVE_INFINITY
        break
      case LIST:
      case OBJECT:
        left -= 1
        level += 1
        if (left < 0 || level > depth) return null
        isKey = bytes[at] === OBJECT
        room[level] = isKey ? members - 1 : Number.POSITIVE_INFINITY
        beginnings[level] = 0
        break
      case LIST_END:
      case OBJECT_END:
        level = Math.max(0, level - 1)
        isKey = false
        break
    }
  }
  return numerals
}

/**
 * A digit may be written as an escape, though our senders never do that. V8 takes a text that begins with 0 for a
 * number only if it is `0`.
 */
function isNumeral(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from]!
  if (first !== BACKSLASH && (first <= ZERO || first > NINE)) return false
  let digits = 0
  for (let at = from; at < to; digits++) {
    if (digits === LONGEST_NUMERAL) return false
    const escaped = bytes[at] === BACKSLASH ? ESCAPE_BYTES : 0
    const byte = bytes[escaped === 0 ? at : at + escaped - 1]!
    if (byte < ZERO || byte > NINE) return false
    at += escaped || 1
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

class SeenBeginnings {
  readonly #hashes = new Set<number>()
  readonly #seed: number
  readonly #most: number

  constructor(most: number) {
    this.#most = most
    seed ??= process.getBuiltinModule('node:crypto').randomInt(2 ** 32)
    this.#seed = seed
  }

  /** The hash of the beginning; null: there are too many. */
  add(bytes: Uint8Array, start: number, end: number, before: number): number | null {
    let hash = before === 0 ? this.#seed : Math.imul(before ^ QUOTE, PRIME)
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME)
    this.#hashes.add(hash)
    return this.#hashes.size <= this.#most ? hash : null
  }
}

/** As `JSON.parse`, for a text that another user may have written. Throws a SyntaxError beyond the bounds. */
export function parseWithin(
  text: string,
  bounds: JsonBounds,
  revive?: (name: string, value: unknown) => unknown,
): unknown {
  const bytes = Buffer.from(text)
  if (!isWithin(bytes, 0, bytes.length, bounds)) throw new SyntaxError('the JSON has too many parts')
  return JSON.parse(text, revive)
}
