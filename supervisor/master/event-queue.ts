/**
 * The master's one loop: every event goes into a queue. The loop takes one event at a time, and after each one the
 * master compares the actual state with the wanted one.
 *
 * The queue runs in a turn of its own (`setImmediate`): Node reaps all dead children at once but reports them one by
 * one. Only after that turn it is known which pids may still be signalled.
 */

/** Events in the order in which they happened. */
export class EventQueue<E> {
  readonly #take: (event: E) => void
  readonly #settle: () => void
  #events: E[] = []
  #isScheduled = false

  /** `take` handles one event. `settle` runs after each. An exception in either is a bug and ends the process. */
  constructor(take: (event: E) => void, settle: () => void) {
    this.#take = take
    this.#settle = settle
  }

  /** Queues an event. An event that is put while another one is taken goes to the end of the queue. */
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
