/**
 * Reads one secret line from a terminal without showing it, or from a pipe. Must stay true: the terminal gets its echo
 * back, whatever happens; what was typed after the line is left for the next reader.
 */

import type { ReadStream } from 'node:tty'
import { EXIT, Failure } from '../../kit/ground/failure.js'

/** Standard input, or a stand-in of a test. */
export type PasswordInput = ReadStream | NodeJS.ReadableStream

const longestPassword = 1024

/** True for a terminal, where keys are seen and echo can be off. */
export function isTerminal(input: PasswordInput): input is ReadStream {
  return 'isTTY' in input && input.isTTY === true
}

/** The line without its end. Failures: `interrupted` (1) for Ctrl-C, `usage` (64) past 1,024 characters. */
export async function readPassword(
  input: PasswordInput,
  prompt: (text: string) => void,
  question: string,
): Promise<string> {
  if (!isTerminal(input)) return readLine(input, false)
  // First no echo, then the question: a fast typist must not see the answer.
  input.setRawMode(true)
  prompt(question)
  try {
    return await readLine(input, true)
  } finally {
    input.setRawMode(false)
    prompt('\n')
  }
}

function readLine(input: PasswordInput, hasKeys: boolean): Promise<string> {
  const line = new TypedLine(hasKeys)
  return new Promise((resolve, reject) => {
    const finish = (outcome: string | Error) => {
      input.off('data', onData).off('end', onEnd).off('error', finish).pause()
      if (typeof outcome === 'string') resolve(outcome)
      else reject(outcome)
    }
    const onEnd = () => finish(line.text())
    const onData = (chunk: string) => {
      const outcome = line.take(chunk)
      if (outcome === null) return
      finish(outcome.result)
      if (outcome.rest !== '') input.unshift(outcome.rest)
    }
    input.setEncoding('utf8')
    input.on('data', onData).on('end', onEnd).on('error', finish).resume()
  })
}

/**
 * In raw mode the keys that edit a line come as characters: backspace, Ctrl-U, Ctrl-C, Ctrl-D. In a pipe only its end
 * counts.
 */
class TypedLine {
  readonly #hasKeys: boolean
  #typed: string[] = []

  constructor(hasKeys: boolean) {
    this.#hasKeys = hasKeys
  }

  text(): string {
    const text = this.#typed.join('')
    return text.endsWith('\r') ? text.slice(0, -1) : text
  }

  /** Null: the line goes on. */
  take(chunk: string): { result: string | Error; rest: string } | null {
    let read = 0
    for (const key of chunk) {
      read += key.length
      const result = this.#press(key)
      if (result !== null) return { result, rest: chunk.slice(read) }
    }
    return null
  }

  #press(key: string): string | Error | null {
    if (key === '\n' || (this.#hasKeys && (key === '\r' || key === '\u0004'))) return this.text()
    if (this.#hasKeys && key === '\u0003') return new Failure('interrupted', 'interrupted', EXIT.failed)
    if (this.#hasKeys && key === '\u0015') this.#typed = []
    else if (this.#hasKeys && (key === '\u007f' || key === '\b')) this.#typed.pop()
    else this.#typed.push(key)
    if (this.#typed.length <= longestPassword) return null
    return new Failure('usage', `cannot hash the password: accepted: at most ${longestPassword} characters`, EXIT.usage)
  }
}
