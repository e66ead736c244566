/** Some seconds of what `npm run fuzz:channel` does for a million messages. */

import t from 'tap'
import { playConversations } from '../../fuzz/channel-conversations.js'

const MESSAGES = 30_000

t.test('nothing that a worker says is too much for the master', t => {
  const seed = Date.now() % 1_000_000
  const { messages, taken, broken } = playConversations(seed, MESSAGES)
  t.ok(messages >= MESSAGES, `seed ${seed}`)
  t.ok(taken > MESSAGES / 2, `${taken} were taken`)
  t.ok(broken > 500, `${broken} channels were given up`)
  t.end()
})
