/**
 * Compares our request parser with Node's on as many damaged requests as asked for. A program, not part of the suite:
 *
 *     node dist/test/fuzz/request-parser.js --inputs 1000000 [--seed 1] [--from 0]
 *
 * Ends with 1 at the first disagreement, printed with what gives it again; where a step has no end; and where the memory in use grows from step to step.
 */

import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compareReadings } from './compare-readings.js'

const STEP = 20_000
/** A step takes some seconds. */
const HANG_MS = 300_000
/** After this many steps all is loaded and compiled. */
const WARM_STEPS = 5
const MOST_GROWTH_BYTES = 16 * 1024 * 1024

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    from: { type: 'string', default: '0' },
  },
})
const [inputs, seed, from] = [Number(values.inputs), Number(values.seed), Number(values.from)]
if (![inputs, seed, from].every(Number.isSafeInteger)) {
  console.error('--inputs, --seed and --from are whole numbers')
  process.exit(64)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}

let warmBytes = Number.POSITIVE_INFINITY
for (let done = 0; done < inputs; done += STEP) {
  const hang = setTimeout(() => fail(`--seed ${seed} --from ${from + done}: no end after ${HANG_MS} ms`), HANG_MS)
  const compared = await compareReadings(seed, from + done, Math.min(STEP, inputs - done))
  clearTimeout(hang)
  collect()
  const { heapUsed, external } = process.memoryUsage()
  const usedBytes = heapUsed + external
  const { complete, chunked, splits, refusedByUs, refusedByNode, disagreement } = compared
  console.log(
    `seed=${seed} from=${from + done} inputs=${compared.inputs} complete=${complete} chunked=${chunked} splits=${splits} refusedByUs=${refusedByUs} refusedByNode=${refusedByNode} usedMB=${(usedBytes / 1024 ** 2).toFixed(1)}`,
  )
  if (disagreement !== null) fail(disagreement)
  if (done === WARM_STEPS * STEP) warmBytes = usedBytes
  else if (usedBytes > warmBytes + MOST_GROWTH_BYTES) fail(`memory in use grew from ${warmBytes} to ${usedBytes} bytes`)
}
