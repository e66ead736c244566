/**
 * Credit that a worker gives for a request body while the kernel has not taken all bytes that were written to the
 * worker.
 *
 * A worker returns credit for bytes that it has read. A worker that reads nothing can claim the same, and the bytes
 * that it gets for this credit would pile up here. So such credit counts only when the kernel has taken everything that
 * was written before the credit came. A worker that reads on reaches this point at once.
 *
 * What must stay true: nothing is held for a worker that reads. Each exchange holds one number. A mark covers
 * everything that came before it, so credit does not wait for later bytes of other exchanges.
 */

export interface HeldCreditDeps {
  /** Calls `taken` when the kernel has taken all bytes written so far; never, if the link ends before. */
  mark(taken: () => void): void
  /** Applies the credit. The exchange may be gone already. */
  apply(id: number, bytes: number): void
}

export class HeldCredit {
  readonly #deps: HeldCreditDeps
  /** By the id of the exchange: credit that has a mark, and credit that came later. */
  #marked = new Map<number, number>()
  #later = new Map<number, number>()

  constructor(deps: HeldCreditDeps) {
    this.#deps = deps
  }

  get isHolding(): boolean {
    return this.#marked.size > 0 || this.#later.size > 0
  }

  /** The credit held for this exchange. */
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
