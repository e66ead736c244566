/** Waits for what a child that has exited still has in its pipes. Used by `spawn-child.ts` and `shell-command.ts`. */

import type { Duplex } from 'node:stream'

/** How long the last output and messages are waited for: a grandchild may hold the pipes for ever. */
const LAST_WORDS_MS = 250

/**
 * To be called behind those who listen to the streams themselves, as soon as they exist. The result, called at the exit, calls `then` once when all
 * streams have said `close` (`closed` is true earlier, before they were heard); after a while they are closed by force.
 */
export function lastWordsOf(streams: readonly Duplex[]): (then: () => void) => void {
  let open = streams.length
  let check = () => {}
  for (const stream of streams) {
    stream.once('close', () => {
      open -= 1
      check()
    })
  }
  return then => {
    check = () => {
      if (open > 0) return
      check = () => {}
      clearTimeout(timer)
      then()
    }
    const giveUp = () => {
      for (const stream of streams) stream.destroy()
      check()
    }
    // Behind what can be read in this turn: after a stall a timer comes before it.
    const timer = setTimeout(() => setImmediate(giveUp), LAST_WORDS_MS)
    check()
  }
}
