/** Tests of `--help`: every option is in it once, and it fits a terminal. */

import t from 'tap'
import { helpText } from '../../../supervisor/config/help-text.js'
import { MOOT_OPTIONS } from '../../../supervisor/config/moot-options.js'
import { optionNames, rowOf } from '../../../supervisor/config/options.js'

const help = helpText()

t.test('holds every option', async t => {
  for (const name of optionNames()) {
    const { default: otherwise } = rowOf(name)
    const [, entry = ''] = help.split(new RegExp(`^  --${name}(?![\\w-])`, 'm'))
    t.not(entry, '', name)
    if (otherwise !== null) t.match(entry.split(/^ {2}--/m)[0]?.replace(/\s+/g, ' '), `Default: ${otherwise}.`, name)
  }
  for (const name of Object.keys(MOOT_OPTIONS)) t.match(help, name)
})

t.test('fits 120 columns', async t =>
  t.same(
    help.split('\n').filter(line => line.length > 120),
    [],
  ),
)

t.test('shows how a value is given', async t => {
  const lines: [name: string, line: RegExp][] = [
    ['a value', /^ {2}--harakiri SECONDS$/m],
    ['a switch', /^ {2}--vacuum$/m],
    ['a value that may be left out', /^ {2}--metrics\[=ADDRESS\]$/m],
    ['more than once', /^ {2}--http ADDRESS \+ {2}\(also --http-socket, --http11-socket\)$/m],
  ]
  for (const [name, line] of lines) t.match(help, line, name)
})
