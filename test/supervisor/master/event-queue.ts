/** The master's loop: `supervisor/master/event-queue.ts`. */

import t from 'tap'
import { EventQueue } from '../../../supervisor/master/event-queue.js'

t.test('one at a time, in order, each followed by a look at the whole; late ones come last', async t => {
  const seen: string[] = []
  await new Promise<void>(resolve => {
    const queue: EventQueue<string> = new EventQueue(
      event => {
        seen.push(event)
        if (event === 'a') queue.put('late')
        if (event === 'late') setImmediate(resolve)
      },
      () => seen.push('settle'),
    )
    queue.put('a')
    queue.put('b')
    t.same(seen, [], 'not in the turn of whoever tells it')
  })
  t.same(seen, ['a', 'settle', 'b', 'settle', 'late', 'settle'])
})
