/** Reads the rest of the pipes of a child that has exited. */

import type { Duplex } from 'node:stream'

/**
 * How long the last output and messages are waited for. There must be a limit: a grandchild may keep the pipes open for
 * ever.
 */
const LAST_WORDS_MS = 250
/**
 * If more than this arrived since the last check, the child has left more in the kernel, and reading goes on. The
 * kernel holds some megabytes for each pipe.
 */
const BACKLOG_BYTES = 64 * 1024
const MOST_MS = 5000

/**
 * Call it as soon as the streams exist, but after their readers have added their listeners. Call the result at the exit
 * of the child: it calls `then` once, when all streams have emitted `close` (`closed` is true earlier, before the
 * listeners ran). The streams are closed by force when little has arrived for `LAST_WORDS_MS`, and after `MOST_MS` in
 * any case.
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
      // `setImmediate` runs after the reads of this turn. After a stall, the timer alone would fire before them.
      timer = setTimeout(() => setImmediate(giveUp), LAST_WORDS_MS)
    }
    look()
    check()
  }
}

/** Only sockets count the bytes that were read. */
function bytesOf(streams: readonly Duplex[]): number {
  return streams.reduce((sum, stream) => sum + (Number(Reflect.get(stream, 'bytesRead')) || 0), 0)
}
