/** The last events of the log, for `daimyo top`. Filled by `run-command.ts`, which passes every event on. */

import { cutText } from '../../kit/ground/cut-text.js'
import type { Log } from '../../kit/log/log.js'
import { createLog } from '../../kit/log/log.js'

const MOST = 20
const CHARACTERS = 300

/** Events for single lines, such as those of a stack: they would push the other events off the screen. */
const LINES_OF_ANOTHER = /-line$/

/** Keeps the last lines. The caller calls `log` as well as the real log. */
export class RecentEvents {
  readonly #lines: string[] = []
  readonly #print = createLog(line => {
    this.#lines.push(cutText(line.trimEnd(), CHARACTERS))
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
