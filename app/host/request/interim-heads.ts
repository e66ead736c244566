/**
 * Puts the interim responses (1xx) of one request together: what an application writes before the head of its final
 * response. `node:http` writes each of them in one piece. With `_writeRaw`, which many use for statuses that Node does
 * not know, they come in any pieces.
 */

const BEGINNING = 'HTTP/1.1 1'
const HEAD_END = '\r\n\r\n'

export class InterimHeads {
  #held = ''

  /** Bytes of an interim response whose end has not come. */
  get openBytes(): number {
    return this.#held.length
  }

  /**
   * Takes `text` (latin1) and returns what goes on; empty: nothing yet. That is one whole head, or bytes that the proxy
   * is to refuse: bytes that begin no head, and bytes that come in one piece with the end of a head. The latter is what
   * a value looks like that breaks out of its line.
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
 * Whether the first bytes of a response may be an interim one. Only the first digit of the status is looked at, because
 * every response is checked.
 */
export function mayBeInterim(bytes: string | Buffer): boolean {
  return (typeof bytes === 'string' ? bytes.charCodeAt(FIRST_DIGIT) : bytes[FIRST_DIGIT]) === ONE
}

const FIRST_DIGIT = BEGINNING.length - 1
const ONE = 49

/** Also for a beginning that is not complete. */
function beginsInterim(text: string): boolean {
  return BEGINNING.startsWith(text.slice(0, BEGINNING.length))
}
