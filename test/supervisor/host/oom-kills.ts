/** The kernel's count of its OOM kills: `supervisor/host/oom-kills.ts`, and what the master makes of it. */

import t from 'tap'
import { OomKills } from '../../../supervisor/host/oom-kills.js'
import { startTree } from '../fixtures/tree.js'

t.test('a kill is news until the second look after it', async t => {
  let count: number | null = 7
  const kills = new OomKills(() => count)
  t.equal(kills.areRecent, false, 'those of before the start are none')
  count = 8
  t.equal(kills.areRecent, true)
  kills.look()
  t.equal(kills.areRecent, true, 'its worker may be reaped behind the look')
  kills.look()
  t.equal(kills.areRecent, false)
  count = null
  t.equal(kills.areRecent, false, 'nobody knows')
})

t.test('a kernel that does not count', async t => {
  const kills = new OomKills(() => null)
  kills.look()
  t.equal(kills.areRecent, false)
})

t.test('this one counts', async t => t.equal(new OomKills().areRecent, false))

t.test('a worker that it takes is told from one that a person kills', async t => {
  let count = 0
  const tree = await startTree(t, { deps: { countOomKills: () => count } })
  const kill = async (why: string) => {
    const [worker] = tree.master.status().workers
    process.kill(worker?.pid ?? 0, 'SIGKILL')
    await tree.event('worker-exit', { pid: worker?.pid ?? 0, signal: 'SIGKILL', why })
    await tree.event('worker-ready', {}, tree.told.filter(({ event }) => event === 'worker-exit').length + 1)
  }
  await kill('died')
  count++
  await kill('out-of-memory')
  const ends = (await tree.got()).flatMap(message => (message.type === 'worker-gone' ? [message.end] : []))
  t.same(ends, ['killed', 'crashed'], 'so that the proxies send its requests twice at most')
  t.match(tree.master.metricsState()?.restarts, { died: 1, 'out-of-memory': 1 })
})
