/** Waits for what a child that has exited still has in its pipes. */

import type { Duplex } from 'node:stream'

/** How long the last output and messages are waited for: a grandchild may hold the pipes for ever. */
const LAST_WORDS_MS = 250
/** Whoever has left more than that in the kernel, which holds some megabytes of each pipe, is read on. */
const BACKLOG_BYTES = 64 * 1024
const MOST_MS = 5000

/**
 * To be called behind those who listen to the streams themselves, as soon as they exist. The result, called at the
 * exit, calls `then` once when all streams have said `close` (`closed` is true earlier, before they were heard); they
 * are closed by force after a while in which they said little, and after `MOST_MS` in any case.
 */
export function lastWordsOf(streams: readonly Duplex[]): (then: () => void) => void {
  const living = streams.filter(({ closed }) => !closed)
  let open = living.length
  let check = () => {}
  for (const stream of living) {
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
    let read = bytesOf(streams)
    const deadlineMs = performance.now() + MOST_MS
    const giveUp = () => {
      const before = read
      read = bytesOf(streams)
      if (read - before >= BACKLOG_BYTES && performance.now() < deadlineMs) return look()
      for (const stream of streams) stream.destroy()
      check()
    }
    let timer: NodeJS.Timeout
    const look = () => {
      // Behind what can be read in this turn: after a stall a timer comes before it.
      timer = setTimeout(() => setImmediate(giveUp), LAST_WORDS_MS)
    }
    look()
    check()
  }
}

/** Sockets count what was read. */
function bytesOf(streams: readonly Duplex[]): number {
  return streams.reduce((sum, stream) => sum + (Number(Reflect.get(stream, 'bytesRead')) || 0), 0)
}
