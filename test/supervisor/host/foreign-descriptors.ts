/** Tests `supervisor/host/foreign-descriptors.ts`: with which options files of V8's own may be open. The rest is e2e. */

import t from 'tap'
import { mayKeepFiles } from '../../../supervisor/host/foreign-descriptors.js'

const cases: [options: string, mayKeep: boolean][] = [
  ['', false],
  ['--no-warnings', false],
  ['--max-old-space-size=100 --enable-source-maps', false],
  ['--no-prof', false],
  ['--redirect-warnings=warnings.txt', false],
  ['--report-on-fatalerror', false],
  ['--prof', true],
  ['--no-warnings --prof', true],
  ['"--prof"', true],
  ['--perf-basic-prof', true],
  ['--perf_basic_prof', true],
  ['--log_all', true],
  ['--logfile=v8.log', true],
  ['--logfile-per-isolate', true],
  ['-r ./agent.cjs', true],
  ['--require=./agent.cjs', true],
  ['--import ./agent.mjs', true],
]
t.test('options that make V8 keep files open', async t => {
  for (const [options, mayKeep] of cases) t.equal(mayKeepFiles(['--enable-source-maps', options]), mayKeep, options)
})
