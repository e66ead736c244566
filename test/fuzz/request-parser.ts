/**
 * Compares our request parser with Node's on as many damaged requests as asked for. A program, not part of the suite:
 *
 *     node dist/test/fuzz/request-parser.js --inputs 1000000 [--seed 1] [--from 0]
 *
 * Ends with 1 at the first disagreement, printed with what gives it again.
 */

import { parseArgs } from 'node:util'
import { compareReadings } from './compare-readings.js'

const STEP = 20_000

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

for (let done = 0; done < inputs; done += STEP) {
  const compared = await compareReadings(seed, from + done, Math.min(STEP, inputs - done))
  const { complete, chunked, splits, refusedByUs, refusedByNode, disagreement } = compared
  console.log(
    `seed=${seed} from=${from + done} inputs=${compared.inputs} complete=${complete} chunked=${chunked} splits=${splits} refusedByUs=${refusedByUs} refusedByNode=${refusedByNode}`,
  )
  if (disagreement !== null) {
    console.error(disagreement)
    process.exit(1)
  }
}
