/** The flags do what they are for. Seen in processes of their own, whose heaps are fresh. */

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { PROXY_YOUNG_GENERATION } from '../../../supervisor/host/young-generation.js'

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

/** Scavenges while garbage of 400 MB is made, of which next to nothing survives, as of requests. */
function scavenges(flags: readonly string[]): number {
  const code = `
    let garbage = 0
    for (let count = 0; count < 5_000_000; count++) garbage += { count, text: count, list: [count] }.list.length
    console.log(garbage)`
  const { stdout, status } = spawnSync(process.execPath, [...flags, '--trace-gc', '--no-opt', '-e', code], {
    encoding: 'utf8',
    env: {},
  })
  t.equal(status, 0)
  return stdout.match(/: Scavenge /g)?.length ?? 0
}

t.test('a proxy collects less often from its first requests on', async t => {
  const usual = scavenges([])
  const ours = scavenges(PROXY_YOUNG_GENERATION)
  t.ok(ours > 0 && ours < usual / 2, `${ours} scavenges, ${usual} without the flag`)
})

t.test('garbage does not make it grow', async t => {
  t.ok(youngMegabytes('') >= 8, 'it would have')
  const small = youngMegabytes('keepYoungGenerationSmall()')
  t.ok(small > 0 && small <= 4, `${small} MB`)
})
