/**
 * Plays damaged conversations on a worker's channel. A program, not part of the suite:
 *
 *     node dist/test/fuzz/channel-messages.js --messages 1000000 [--seed 1]
 *
 * Ends with an error where the master's side throws, and with 1 where the memory in use grows from step to step.
 */

import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { playConversations } from './channel-conversations.js'

const STEP = 50_000
/** After this many steps all is loaded and compiled. */
const WARM_STEPS = 3
const MOST_GROWTH_BYTES = 16 * 1024 * 1024

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const [messages, seed] = [Number(values.messages), Number(values.seed)]
if (![messages, seed].every(Number.isSafeInteger)) {
  console.error('--messages and --seed are whole numbers')
  process.exit(64)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let warmBytes = Number.POSITIVE_INFINITY
for (let step = 0; step * STEP < messages; step++) {
  const played = playConversations(seed + step, Math.min(STEP, messages - step * STEP))
  collect()
  const { heapUsed, external } = process.memoryUsage()
  const usedBytes = heapUsed + external
  const { taken, broken } = played
  console.log(
    `seed=${seed + step} messages=${played.messages} taken=${taken} broken=${broken} usedMB=${(usedBytes / 1024 ** 2).toFixed(1)}`,
  )
  if (step === WARM_STEPS) warmBytes = usedBytes
  else if (usedBytes > warmBytes + MOST_GROWTH_BYTES) {
    console.error(`memory in use grew from ${warmBytes} to ${usedBytes} bytes`)
    process.exit(1)
  }
}
