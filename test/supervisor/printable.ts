/** Tests `supervisor/printable.ts`. */

import t from 'tap'
import { printable } from '../../supervisor/printable.js'

t.equal(printable('a\tb\nc'), 'a\tb\nc')
t.equal(printable('\u001b[2Jgone\u0007\u009b1m'), ' [2Jgone 1m')
