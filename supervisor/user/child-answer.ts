/**
 * Reads the answer of a child that runs as another user: one text, up to the end of its standard output. The caller
 * validates the text.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

export interface AnswerBounds {
  withinMs: number
  /** In characters. */
  longest: number
  /** Ends a child that exceeds its bounds. */
  kill(): void
}

/** Rejects if the answer takes too long, or if the child cannot be started. */
export function answerOf(
  child: ChildProcess,
  output: Socket,
  { withinMs, longest, kill }: AnswerBounds,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const giveUp = () => {
      reject(new Error(`the file system has not answered within ${withinMs} ms`))
      output.destroy()
      kill()
    }
    const deadline = setTimeout(giveUp, withinMs)
    output.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.length > longest) giveUp()
    })
    // A failed `kill` is an `error` event too, but not the end of the child.
    child.on('error', error => {
      if (child.pid === undefined) reject(error)
    })
    output.on('close', () => {
      clearTimeout(deadline)
      resolve(said)
    })
  })
}
