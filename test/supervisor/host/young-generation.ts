/** The flag does what it is for: garbage does not make the young generation grow. Seen in processes of their own, whose heaps are fresh. */

import { spawnSync } from 'node:child_process'
import t from 'tap'

const module = new URL('../../../supervisor/host/young-generation.js', import.meta.url).href

function youngMegabytes(first: string): number {
  const code = `
    import { getHeapSpaceStatistics } from 'node:v8'
    import { keepYoungGenerationSmall } from ${JSON.stringify(module)}
    ${first}
    let kept = []
    for (let count = 0; count < 2_000_000; count++) {
      kept.push({ count, list: [count] })
      if (kept.length > 20_000) kept = []
    }
    console.log(getHeapSpaceStatistics().find(space => space.space_name === 'new_space').space_size)`
  const options = { encoding: 'utf8', env: {} } as const
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], options)
  t.equal(stderr, '')
  return Number(stdout) / 1024 ** 2
}

t.test('garbage does not make it grow', async t => {
  t.ok(youngMegabytes('') >= 8, 'it would have')
  const small = youngMegabytes('keepYoungGenerationSmall()')
  t.ok(small > 0 && small <= 4, `${small} MB`)
})
