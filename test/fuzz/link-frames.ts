/**
 * Lets a hostile worker say as many frames as asked for to a real proxy's links. A program, not part of the suite:
 *
 *     node dist/test/fuzz/link-frames.js --frames 1000000 [--seed 1] [--from 0]
 *
 * `--from`: the number of the first conversation. Ends with 1 at the first fault, printed with what gives it again; where a conversation has no end; and
 * where the memory in use grows from step to step.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LinkFuzz } from './link-conversation.js'

const STEP = 20_000
/** A step takes some seconds. */
const HANG_MS = 300_000
/** After this many steps all is loaded and compiled. */
const WARM_STEPS = 5
const MOST_GROWTH_BYTES = 16 * 1024 * 1024

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    from: { type: 'string', default: '0' },
  },
})
const [frames, seed, from] = [Number(values.frames), Number(values.seed), Number(values.from)]
if (![frames, seed, from].every(Number.isSafeInteger)) {
  console.error('--frames, --seed and --from are whole numbers')
  process.exit(64)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const folder = mkdtempSync(join(tmpdir(), 'daimyo-fuzz-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}

/** What the last conversation has left in sockets that are closing goes with them. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  collect()
  await new Promise(resolve => setImmediate(resolve))
  collect()
}

const fuzz = await LinkFuzz.open(folder, seed, from)
let warmBytes = Number.POSITIVE_INFINITY
let next = from
for (let done = 0, step = 0; done < frames; step++) {
  const hang = setTimeout(() => fail(`--seed ${seed} --from ${next}: no end after ${HANG_MS} ms`), HANG_MS)
  const tally = await fuzz.converse(Math.min(STEP, frames - done))
  clearTimeout(hang)
  await settle()
  const { heapUsed, external } = process.memoryUsage()
  const usedBytes = heapUsed + external
  console.log(
    `seed=${seed} from=${next} conversations=${tally.conversations} frames=${tally.frames} broken=${tally.broken} unbroken=${tally.unbroken} usedMB=${(usedBytes / 1024 ** 2).toFixed(1)}`,
  )
  done += tally.frames
  next += tally.conversations
  if (tally.fault !== null) fail(`--seed ${seed} --from ${next - 1}: ${tally.fault}`)
  if (step === WARM_STEPS) warmBytes = usedBytes
  else if (usedBytes > warmBytes + MOST_GROWTH_BYTES) fail(`memory in use grew from ${warmBytes} to ${usedBytes} bytes`)
}
fuzz.close()
process.exit(0)
