/** When a watched path has changed: `supervisor/reload/watched-path.ts`. */

import t from 'tap'
import { type Look, type Seen, takeLook, type WatchOption } from '../../../supervisor/reload/watched-path.js'

/** `looks`: one letter each, `-` nothing there. `changes`: `!` where the look before it counts as a change. */
const cases: [title: string, option: WatchOption, looks: string, changes: string][] = [
  ['nothing happens', 'touch-reload', 'aaaa', '....'],
  ['a touch', 'touch-reload', 'aabbb', '..!..'],
  ['two touches', 'touch-reload', 'abc', '.!!'],
  ['a file that is made', 'touch-reload', '--aa', '..!.'],
  ['a file that is removed, as in uWSGI', 'touch-chain-reload', 'aa--', '..!.'],
  ['removed and made again', 'touch-workers-reload', 'a-b', '.!!'],
  ['a folder that is written to stands still first', 'fs-reload', 'abcdd', '....!'],
  ['a folder that changes back', 'fs-reload', 'abaa', '....'],
  ['a folder that vanishes', 'fs-reload', 'aa--', '...!'],
  ['an INI that is edited', 'ini-reload', 'aabbb', '...!.'],
  ['an editor that renames a new one over it', 'ini-reload', 'a-bb', '...!'],
  ['one that is gone is awaited', 'ini-reload', 'a----', '.....'],
  ['and may come back as it was', 'ini-reload', 'a--aa', '.....'],
  ['one that is not there at first', 'ini-reload', '--aa', '...!'],
]
for (const [title, option, looks, changes] of cases) {
  t.test(`${option}: ${title}`, async t => {
    let seen: Seen | null = null
    let told = ''
    for (const letter of looks) {
      const look: Look = letter === '-' ? null : letter
      const step: ReturnType<typeof takeLook> = takeLook(option, seen, look)
      seen = step.seen
      told += step.hasChanged ? '!' : '.'
    }
    t.equal(told, changes)
  })
}
