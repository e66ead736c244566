/**
 * Credit that a worker gives for a body while bytes wait that the kernel has not taken. Owned by `link.ts`.
 *
 * A worker returns credit for bytes that it has read. One that reads nothing can say so all the same, and whatever it
 * were believed for would wait here: so such credit counts once the kernel has taken what was written before it came. A
 * worker that reads on gets there at once.
 *
 * What must stay true: nothing is held for a worker that reads; what is held is one number per exchange; a mark is set
 * for all that came before it, so that credit does not wait for what others send afterwards.
 */

export interface HeldCreditDeps {
  /** Calls `taken` once the kernel has taken all that was written so far; never, where the link ends before. */
  mark(taken: () => void): void
  /** The worker may have read so much. It is not known whether the exchange is still there. */
  apply(id: number, bytes: number): void
}

export class HeldCredit {
  readonly #deps: HeldCreditDeps
  /** By the exchange's id: what a mark was set for, and what came since. */
  #marked = new Map<number, number>()
  #later = new Map<number, number>()

  constructor(deps: HeldCreditDeps) {
    this.#deps = deps
  }

  get isHolding(): boolean {
    return this.#marked.size > 0 || this.#later.size > 0
  }

  /** What is held for this exchange. */
  of(id: number): number {
    return (this.#marked.get(id) ?? 0) + (this.#later.get(id) ?? 0)
  }

  hold(id: number, bytes: number): void {
    this.#later.set(id, (this.#later.get(id) ?? 0) + bytes)
    if (this.#marked.size === 0) this.#mark()
  }

  #mark(): void {
    this.#marked = this.#later
    this.#later = new Map()
    this.#deps.mark(this.#taken)
  }

  readonly #taken = (): void => {
    const marked = this.#marked
    this.#marked = new Map()
    for (const [id, bytes] of marked) this.#deps.apply(id, bytes)
    if (this.#later.size > 0 && this.#marked.size === 0) this.#mark()
  }
}
