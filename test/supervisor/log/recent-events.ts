/** Tests `supervisor/log/recent-events.ts`. */

import t from 'tap'
import { RecentEvents } from '../../../supervisor/log/recent-events.js'

const recent = new RecentEvents()
for (let number = 1; number <= 25; number++) recent.log('event', { number, text: 'x'.repeat(1000) })
recent.log('reload-failed-line', { text: '    at app.js:1:1' })
t.equal(recent.lines().length, 20, 'bounded in number')
t.match(recent.lines()[0], /^\S+ event number=6 /)
t.match(recent.lines().at(-1), /^\S+ event number=25 /)
t.ok(
  recent.lines().every(line => line.length <= 300),
  'and in length',
)
