/**
 * Puts the interim responses (1xx) of one request together. Used by `served-request.ts` for what an application writes
 * before the head of its final response: `node:http` writes each of them in one piece, but with `_writeRaw`, as many do
 * who know statuses that Node does not, they come in any pieces.
 */

const BEGINNING = 'HTTP/1.1 1'
const HEAD_END = '\r\n\r\n'

export class InterimHeads {
  #held = ''

  /** Bytes of one whose end has not come. */
  get openBytes(): number {
    return this.#held.length
  }

  /**
   * What is to go on with `text` (latin1); empty: nothing yet. It is one whole head, or what the proxy is to refuse:
   * bytes that begin none, and what comes in one piece with the end of a head. That is how a value that breaks out of
   * its line would show.
   */
  take(text: string): string {
    const from = Math.max(0, this.#held.length + 1 - HEAD_END.length)
    this.#held += text
    if (beginsInterim(this.#held) && this.#held.indexOf(HEAD_END, from) < 0) return ''
    const whole = this.#held
    this.#held = ''
    return whole
  }
}

/**
 * Whether the first bytes of a response may be an interim one: the first digit of the status alone, because each
 * response is asked.
 */
export function mayBeInterim(bytes: string | Buffer): boolean {
  return (typeof bytes === 'string' ? bytes.charCodeAt(FIRST_DIGIT) : bytes[FIRST_DIGIT]) === ONE
}

const FIRST_DIGIT = BEGINNING.length - 1
const ONE = 49

/** Of a beginning that has not come whole, too. */
function beginsInterim(text: string): boolean {
  return BEGINNING.startsWith(text.slice(0, BEGINNING.length))
}
