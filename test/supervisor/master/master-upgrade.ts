/** The master and an upgrade in place: what it starts, what it refuses to start, and what it says (`supervisor/host/installation.ts`). */

import t from 'tap'
import type { Finding } from '../../../supervisor/host/installation.js'
import { readyPids, startTree } from '../fixtures/tree.js'

const notice = 'daimyo was upgraded from 1.0.0 to 2.0.0: restart'

/** What the installation says, until a test says otherwise. */
function installation(): { found: Finding; look: () => Finding } {
  const self = { found: { notices: [], obstacle: null } as Finding, look: () => self.found }
  return self
}

t.test('an upgrade that fits is told, and the tree goes on', async t => {
  const files = installation()
  const tree = await startTree(t, { deps: { installation: files } })
  t.same(tree.master.status().restart, [])
  files.found = { notices: [notice], obstacle: null }
  const said: string[] = []
  t.match(await tree.master.reload(text => said.push(text)), { ok: true })
  t.equal(said[0], notice)
  t.same(tree.master.status().restart, [notice])
  const [pid = 0] = readyPids(tree)
  process.kill(pid, 'SIGKILL')
  await tree.event('worker-ready', { why: 'respawn' })
})

t.test('one that does not fit starts nobody: a reload says so at once, those that serve stay', async t => {
  const files = installation()
  const tree = await startTree(t, { deps: { installation: files } })
  const before = readyPids(tree)
  files.found = { notices: [notice], obstacle: notice }
  const outcome = await tree.master.reload(() => {})
  t.match(outcome, { ok: false, reason: `slot 1: worker cannot be started: ${notice}` })
  t.same(readyPids(tree), before)
})

t.test('a worker that dies meanwhile is not replaced, and comes back when the files do', async t => {
  const files = installation()
  const tree = await startTree(t, { deps: { installation: files, backOffShare: 0.1 } })
  const [pid = 0] = readyPids(tree)
  files.found = { notices: [notice], obstacle: notice }
  process.kill(pid, 'SIGKILL')
  t.match((await tree.event('worker-not-started', {}, 3)).fields, { why: notice })
  t.match(tree.master.status().workers[0], { phase: 'gone', why: new RegExp(notice) })
  files.found = { notices: [], obstacle: null }
  await tree.event('worker-ready', { why: 'respawn' })
})

t.test('nor is a proxy', async t => {
  const files = installation()
  const tree = await startTree(t, { deps: { installation: files, backOffShare: 0.1 } })
  files.found = { notices: [notice], obstacle: notice }
  process.kill(tree.master.status().proxies[0]?.pid ?? 0, 'SIGKILL')
  t.match((await tree.event('proxy-failed')).fields, { reason: notice })
  files.found = { notices: [], obstacle: null }
  await tree.event('proxy-listening', {}, 2)
})

t.test('ready means linked', async t => {
  const tree = await startTree(t, { settings: { httpProcesses: 2, processes: 1 } })
  const phase = () => tree.master.status().workers.map(worker => worker.phase)
  t.same(phase(), ['ready'])
  const stopped = tree.master.status().proxies[1]!.pid!
  process.kill(stopped, 'SIGSTOP')
  const done = tree.master.reload(() => {})
  await tree.event('worker-ready', { generation: 2 })
  t.same(phase(), ['ready', 'linking'], 'the new one, which one proxy does not know yet')
  process.kill(stopped, 'SIGCONT')
  t.match(await done, { ok: true })
  t.same(phase(), ['ready'])
})

t.test('a worker that broke its link says how', async t => {
  const tree = await startTree(t, { proxy: {}, settings: { httpProcesses: 2 } })
  const stopped = tree.master.status().proxies[1]!.pid!
  process.kill(stopped, 'SIGSTOP')
  const done = tree.master.reload(() => {})
  const { fields } = await tree.event('worker-ready', { generation: 2 })
  const workerId = tree.master.status().workers.find(({ pid }) => pid === fields.pid)?.workerId ?? 0
  await tree.proxySays({ type: 'link-broken', workerId, why: 'it speaks daimyo-link/9 and not daimyo-link/4' })
  t.match(await done, { ok: false, reason: /broke the protocol of its link .*: it speaks daimyo-link\/9 and not/ })
  process.kill(stopped, 'SIGCONT')
})
