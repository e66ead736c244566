/** The kind of a value that is one of a few words. Pure. */

import { nearestName } from '../words/nearest-name.js'
import type { Kind } from './option-kinds.js'

/** One of these words. */
export function oneOf<T extends string>(words: readonly T[]): Kind<T> {
  return {
    symbol: words.join('|'),
    accepts: `one of ${words.join(', ')}`,
    parse(text) {
      const word = words.find(candidate => candidate === text)
      return word === undefined ? { ok: false, hint: nearestName(text, words) } : { ok: true, value: word }
    },
    print: String,
  }
}
