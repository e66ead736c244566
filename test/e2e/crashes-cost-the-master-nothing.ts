/**
 * Workers that crash again and again cost the master neither memory nor descriptors, leave no zombie, and come back no sooner than they should.
 * The workers are the tests' own, which say what real ones say and die: it is the master that is looked at.
 *
 *     node dist/test/e2e/crashes-cost-the-master-nothing.js --crashes 10000
 *
 * is the long version, with the figures of the promise.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import t from 'tap'
import type { Count } from '../supervisor/fixtures/crashing-master.js'
import { timeFactor } from './fixtures/watched-site.js'

const { values } = parseArgs({ options: { crashes: { type: 'string', default: '150' } }, strict: false })
const crashes = Number(values.crashes)
const slots = 4
/** A worker's pipes and what its process needs, and the pipes of the next two children. */
const mostMoreDescriptors = 5 * slots + 16
/** The longest back-off of what could serve, a second, becomes so many milliseconds. */
const share = 0.02
const longestWaitMs = 1000 * share
const mostGrowthBytes = 10 * 1024 ** 2

t.setTimeout(Math.max(120_000, crashes * 500) * timeFactor)

t.test(`${crashes} crashes`, async t => {
  const program = fileURLToPath(new URL('../supervisor/fixtures/crashing-master.js', import.meta.url))
  const args = [
    '-i',
    `PATH=${process.env.PATH}`,
    process.execPath,
    program,
    String(crashes),
    String(slots),
    String(share),
  ]
  const child = spawn('env', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const counts: Count[] = []
  const exit = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    const count = JSON.parse(line) as Count
    counts.push(count)
    if (count.crashes % 1000 === 0) t.comment(line)
  }
  t.same(await exit, [0, null])
  const [first, last, stopped] = [counts[0]!, counts.at(-2)!, counts.at(-1)!]
  t.equal(first.crashes, 100)
  t.equal(last.crashes, crashes)
  const grown = last.rssBytes - first.rssBytes
  t.ok(
    grown < mostGrowthBytes,
    `${megabytes(first.rssBytes)} after the first hundred, ${megabytes(last.rssBytes)} at the end`,
  )
  const [before, after] = [first, last].map(({ descriptors }) => descriptors) as [number, number]
  t.ok(after - before < mostMoreDescriptors, `${before} descriptors, then ${after}`)
  t.ok(stopped.descriptors < before, 'fewer when all are gone')
  // While others die there may be one for a moment; when all are gone there must be none.
  t.equal(stopped.zombies, 0, 'no zombie')
  t.ok(last.shortestWaitMs >= longestWaitMs - 1, `none was back before ${last.shortestWaitMs.toFixed(1)} ms`)
})

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MB`
}
