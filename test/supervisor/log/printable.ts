/** Tests `supervisor/log/printable.ts`. */

import t from 'tap'
import { printable, printableLines, printableParagraph } from '../../../supervisor/log/printable.js'

t.equal(printable('a\tb\nc'), 'a\tb\nc')
t.equal(printable('\u001b[2Jgone\u0007\u009b1m'), ' [2Jgone 1m')
t.equal(printable('a\u202eb\u2066c\u2028d\u061ce'), 'a b c d e', 'what turns the writing or ends a line')
t.equal(printable('schön 日本 👩‍🌾 עברית'), 'schön 日本 👩‍🌾 עברית', 'letters of all scripts stay')
t.equal(printableParagraph('first\r\nreloaded\n'), 'first \n  reloaded', 'no line but the first begins at the margin')

t.equal(printableLines('plain\u001b[2J\n'), 'plain [2J\n')
t.equal(printableLines('\u001b[31mred\u001b[0m\n'), '\u001b[31mred\u001b[0m\n\u001b[0m', 'colours stay, and end')
t.equal(printableLines('\u001b[31m\u001b]0;title\u0007\u001b[3;1H'), '\u001b[31m ]0;title [3;1H\u001b[0m')
