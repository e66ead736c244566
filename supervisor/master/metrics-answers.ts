/**
 * The metrics page for proxies that ask for it.
 *
 * A program of the service's user may ask in a proxy's name, thousands of times at once, and the page may have
 * megabytes. So each proxy has at most one answer under way. If it asks again before the kernel has taken the whole
 * answer, it gets one more, for its last question. An honest proxy need not wait for another one
 * (`proxy/observe/metrics-page.ts`). Each turn of the loop writes at most one answer.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'

/** A proxy that asks. */
export interface MetricsAsker {
  /** `sent`: the kernel has taken the whole message, or the channel has ended. */
  send(message: { type: 'metrics'; requestId: number; text: string }, sent: () => void): void
}

export class MetricsAnswers {
  readonly #render: () => string | Promise<string>
  readonly #failed: (error: unknown) => void
  /** For each proxy with an answer under way, its last question. `isNew`: the question came after the answered one. */
  readonly #open = new Map<MetricsAsker, { requestId: number; isNew: boolean }>()
  #line: Promise<unknown> = Promise.resolve()

  constructor(render: () => string | Promise<string>, failed: (error: unknown) => void) {
    this.#render = render
    this.#failed = failed
  }

  /** Takes a question. */
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
