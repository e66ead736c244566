/** Tests `supervisor/master/signal-table.ts`; that the README has it is for `test/tidy.ts` to see. */

import t from 'tap'
import { printSignalTable } from '../../../supervisor/master/signal-table.js'
import { SIGNALS } from '../../../supervisor/master/signals.js'

const table = printSignalTable()
for (const signal of Object.keys(SIGNALS)) t.match(table, new RegExp(`[ ,]${signal}[ ,]`))
t.match(table, /^\| SIGTERM, SIGINT, SIGQUIT \| stop: /m, 'those that do the same share a line')
