/**
 * Sorts bytes that came through a master FIFO at the same time. Pure.
 *
 * What must stay true: any number of bytes gives few commands, because equal letters become one command. Two requests
 * for a reload are one reload. An even number of `p` does nothing. `+++` is one request for three more workers.
 */

import { FIFO_LETTERS, type SignalEvent } from './signals.js'

export interface FifoCommand {
  letter: string
  event: SignalEvent
}

export interface SortedLetters {
  /** In the order of the first occurrence of each letter. */
  commands: FifoCommand[]
  /** The last digit that names one of the FIFOs. Null: none does. */
  chosen: number | null
  /** Letters without a meaning here, and how often each came. */
  unknown: { letter: string; count: number }[]
}

/** `fifos`: the number of FIFOs. */
export function sortLetters(bytes: Uint8Array, fifos: number): SortedLetters {
  const sorted: SortedLetters = { commands: [], chosen: null, unknown: [] }
  let chosenAt = -1
  for (const [letter, { count, last }] of countLetters(bytes)) {
    const event = Object.hasOwn(FIFO_LETTERS, letter) ? FIFO_LETTERS[letter] : undefined
    if (event !== undefined) sorted.commands.push(...commandOf(letter, event, count))
    else if (/\d/.test(letter) && Number(letter) < fifos) {
      if (last > chosenAt) sorted.chosen = Number(letter)
      chosenAt = Math.max(chosenAt, last)
    } else if (!/\s/.test(letter)) sorted.unknown.push({ letter, count })
  }
  return sorted
}

function commandOf(letter: string, event: SignalEvent, count: number): FifoCommand[] {
  if (event.type === 'resize') return [{ letter, event: { ...event, by: event.by * count } }]
  return event.type === 'toggle-pause' && count % 2 === 0 ? [] : [{ letter, event }]
}

/** A map keeps its keys in the order of insertion. */
function countLetters(bytes: Uint8Array): Map<string, { count: number; last: number }> {
  const counts = new Uint32Array(256)
  const lasts = new Uint32Array(256)
  const found: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (counts[byte] === 0) found.push(byte)
    counts[byte] = (counts[byte] ?? 0) + 1
    lasts[byte] = at
  }
  return new Map(
    found.map(byte => [String.fromCharCode(byte), { count: counts[byte] ?? 0, last: lasts[byte] ?? 0 }] as const),
  )
}
