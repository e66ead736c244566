/**
 * The page of metrics for proxies that ask for it.
 *
 * A program of the service's user may ask in a proxy's name, thousands of times at once, and the page may be megabytes.
 * So a proxy has one answer under way: who asks again before the kernel has all of it gets one more, to the last
 * question. An honest proxy waits for no other (`proxy/observe/metrics-page.ts`). One answer is written in one turn of
 * the loop.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Who asks. */
export interface MetricsAsker {
  /** `sent`: the kernel has all of it, or the line has ended. */
  send(message: { type: 'metrics'; requestId: number; text: string }, sent: () => void): void
}

export class MetricsAnswers {
  readonly #render: () => string | Promise<string>
  readonly #failed: (error: unknown) => void
  /** The last question of each that has an answer under way; `isNew`: it came after the one that is answered. */
  readonly #open = new Map<MetricsAsker, { requestId: number; isNew: boolean }>()
  #line: Promise<unknown> = Promise.resolve()

  constructor(render: () => string | Promise<string>, failed: (error: unknown) => void) {
    this.#render = render
    this.#failed = failed
  }

  /** Takes in a question. */
  ask(asker: MetricsAsker, requestId: number): void {
    const isOpen = this.#open.has(asker)
    this.#open.set(asker, { requestId, isNew: true })
    if (!isOpen) void this.#answer(asker)
  }

  async #answer(asker: MetricsAsker): Promise<void> {
    while (this.#open.get(asker)?.isNew) {
      const text = await this.#text()
      this.#line = this.#line.then(() => nextTurn())
      await this.#line
      const { requestId } = this.#open.get(asker)!
      this.#open.set(asker, { requestId, isNew: false })
      await new Promise<void>(sent => asker.send({ type: 'metrics', requestId, text }, sent))
    }
    this.#open.delete(asker)
  }

  async #text(): Promise<string> {
    try {
      return await this.#render()
    } catch (error) {
      this.#failed(error)
      return '# the metrics cannot be rendered, see the log\n'
    }
  }
}
