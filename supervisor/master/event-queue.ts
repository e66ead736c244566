/**
 * The master's one loop: whatever happens is put into a queue, one event is taken at a time, and after each one what is
 * gets compared with what is wanted.
 *
 * The queue runs in a turn of its own (`setImmediate`): Node reaps all dead children in one go and tells of them one by
 * one, so only after that turn is it known which pids are still there to be signalled.
 */

/** Events in the order of their happening. */
export class EventQueue<E> {
  readonly #take: (event: E) => void
  readonly #settle: () => void
  #events: E[] = []
  #isScheduled = false

  /** `take` handles one event; `settle` runs after each. What they throw is a bug and ends the process. */
  constructor(take: (event: E) => void, settle: () => void) {
    this.#take = take
    this.#settle = settle
  }

  /** Queues an event; one that is put while another is taken comes after those that wait. */
  readonly put = (event: E): void => {
    this.#events.push(event)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#run())
  }

  #run(): void {
    this.#isScheduled = false
    const events = this.#events
    this.#events = []
    for (const event of events) {
      this.#take(event)
      this.#settle()
    }
  }
}
