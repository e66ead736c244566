/** The last events of the log, for `daimyo top`. Filled by `run-command.ts`, which passes every event on. */

import type { Log } from '../../kit/log/log.js'
import { createLog } from '../../kit/log/log.js'

const MOST = 20
const CHARACTERS = 300

/** Stack lines and the like, one event each: they would push out of the screen what happened. */
const LINES_OF_ANOTHER = /-line$/

/** Keeps the last lines; `log` is to be called as well as the real one. */
export class RecentEvents {
  readonly #lines: string[] = []
  readonly #print = createLog(line => {
    this.#lines.push(line.trimEnd().slice(0, CHARACTERS))
    if (this.#lines.length > MOST) this.#lines.shift()
  })

  readonly log: Log = (event, fields) => {
    if (!LINES_OF_ANOTHER.test(event)) this.#print(event, fields)
  }

  /** The newest last. */
  lines(): string[] {
    return [...this.#lines]
  }
}
