/** Waits for what a child that has exited still has in its pipes. Used by `spawn-child.ts` and `shell-command.ts`. */

import type { ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'

/** How long the last output and messages are waited for: a grandchild may hold the pipes for ever. */
const LAST_WORDS_MS = 250

/** Calls `then` once, when the channel and all `streams` of the child are closed; after a while they are closed by force. */
export function awaitLastWords(child: ChildProcess, streams: readonly Duplex[], then: () => void): void {
  let isOver = false
  let isLate = false
  const check = () => {
    if (isOver || (child.connected && !isLate) || !streams.every(stream => stream.closed)) return
    isOver = true
    clearTimeout(timer)
    child.off('disconnect', check)
    for (const stream of streams) stream.off('close', check)
    then()
  }
  const giveUp = () => {
    isLate = true
    for (const stream of streams) stream.destroy()
    check()
  }
  // Behind what can be read in this turn: after a stall a timer comes before it.
  const timer = setTimeout(() => setImmediate(giveUp), LAST_WORDS_MS)
  child.on('disconnect', check)
  for (const stream of streams) stream.on('close', check)
  check()
}
