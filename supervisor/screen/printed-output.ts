/**
 * The output of a command on its way to a terminal, a file or a pipe. A pipe takes 64 KB; the rest waits in this
 * process, and `process.exit` would drop it. Must stay true: `drained` always resolves. A reader that takes nothing for
 * `patienceMs` is not waited for any longer.
 */

import type { Writable } from 'node:stream'

/** How long a reader may take nothing before the command ends anyway. */
export const PATIENCE_MS = {
  /** Commands that act: `stop` and `reload` end after they have acted, even if nobody reads. */
  acting: 1000,
  /** Commands that only print, often into a pager that stays open. */
  printing: 3_600_000,
} as const

/** Small enough that a slow reader's progress shows. */
const PIECE_BYTES = 4096

/** One of the two standard streams. */
export class PrintedOutput {
  readonly #stream: Writable
  #progressed: (error?: Error | null) => void = () => {}

  constructor(stream: Writable) {
    this.#stream = stream
  }

  print(text: string): void {
    const bytes = Buffer.from(text)
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      this.#stream.write(bytes.subarray(start, start + PIECE_BYTES), error => this.#progressed(error))
    }
  }

  /** Resolves when all is written, when it cannot be written, or when the reader has taken nothing for `patienceMs`. */
  drained(patienceMs: number): Promise<void> {
    const stream = this.#stream
    const isOver = () => stream.writableLength === 0 || stream.destroyed || stream.errored !== null
    if (isOver()) return Promise.resolve()
    return new Promise(resolve => {
      const end = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(end, patienceMs)
      stream.once('close', end)
      this.#progressed = error => {
        if (error || isOver()) end()
        else timer.refresh()
      }
    })
  }
}
