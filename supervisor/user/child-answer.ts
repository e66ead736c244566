/**
 * What a child of another user answers, in one text, before it closes its standard output. What the text says is for
 * the caller to judge.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

export interface AnswerBounds {
  withinMs: number
  /** In characters. */
  longest: number
  /** Ends the child where it is over its bounds. */
  kill(): void
}

/** Rejects where that takes too long, or the child cannot be started. */
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
    // What `kill` may not do is an error too, and no end.
    child.on('error', error => {
      if (child.pid === undefined) reject(error)
    })
    output.on('close', () => {
      clearTimeout(deadline)
      resolve(said)
    })
  })
}
