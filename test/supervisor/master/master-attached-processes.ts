/** A real master with fake workers and real commands around them: daemons, cron jobs and hooks. */

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { EventFields } from '../../../kit/log/log.js'
import { cron, daemon, daemonWithKeys } from '../../../kit/options/kinds/attached-kinds.js'
import type { DaemonSpec } from '../../../kit/options/values/value-types.js'
import { CronJobs } from '../../../supervisor/attached/cron-jobs.js'
import type { MasterContext } from '../../../supervisor/child/master-context.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import type { MasterEvent } from '../../../supervisor/master/master-events.js'
import { until } from '../../e2e/fixtures/watched-site.js'
import { testPipes } from '../fixtures/test-pipes.js'
import { plantTree, startTree, type Tree } from '../fixtures/tree.js'

const silent = () => {}
const context = { cwd: '/', chdir: '/', cores: 1 }
const read = (kind: typeof daemon, text: string): DaemonSpec => {
  const parsed = kind.parse(text, context)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}
const reads = (tree: Tree, more: Partial<Settings>) => {
  tree.reading = { ...tree.reading, settings: { ...tree.settings, ...more } }
}
const log = (tree: Tree) => {
  try {
    return readFileSync(join(tree.folder, 'told'), 'utf8')
  } catch {
    return ''
  }
}
const waiting = `trap 'echo hup >> told' HUP; while :; do sleep 0.05; done`

t.test('one daemon across reloads, which hears of them', async t => {
  const spec = read(daemonWithKeys, `cmd=${waiting},reloadsignal=1`)
  const tree = await startTree(t, { settings: { attachDaemon: [spec] } })
  const { fields } = await tree.event('daemon-start')
  reads(tree, { attachDaemon: [{ ...spec }] })
  t.match(await tree.master.reload(silent), { ok: true })
  await until('it has heard', () => log(tree) === 'hup\n')
  t.equal(tree.told.filter(({ event }) => event === 'daemon-start').length, 1)
  process.kill(-Number(fields.pid), 'SIGKILL')
  await tree.event('daemon-exit', { signal: 'SIGKILL', why: 'by-itself' })
  await tree.event('daemon-start', {}, 2)
})

t.test('a changed daemon is replaced when the one before is gone, a removed one goes', async t => {
  const slow = read(daemon, `trap 'echo bye >> told; exit 0' TERM; while :; do sleep 0.05; done`)
  const tree = await startTree(t, { settings: { attachDaemon: [slow] } })
  await tree.event('daemon-start')
  reads(tree, { attachDaemon: [read(daemon, 'exec sleep 1000')] })
  t.match(await tree.master.reload(silent), { ok: true })
  await tree.event('daemon-start', { name: 'sleep' })
  const events = tree.told.map(({ event }) => event).filter(event => event.startsWith('daemon-'))
  t.same(events, ['daemon-start', 'daemon-exit', 'daemon-start'])
  reads(tree, {})
  t.match(await tree.master.reload(silent), { ok: true })
  await tree.event('daemon-exit', { name: 'sleep', why: 'stop' })
})

t.test('a daemon that ignores its stop signal is killed', async t => {
  const deaf = read(daemon, `trap '' TERM; echo deaf >> told; while :; do sleep 0.05; done`)
  const tree = await startTree(t, { settings: { attachDaemon: [deaf], reloadMercyMs: 300 } })
  await until('it is deaf', () => log(tree) === 'deaf\n')
  await tree.master.stop('test')
  await tree.event('daemon-exit', { signal: 'SIGKILL', why: 'stop' })
})

t.test('hooks come at their points, once', async t => {
  const told = (word: string) => [`echo ${word} >> told`]
  const tree = await startTree(t, {
    settings: {
      execAsap: told('asap'),
      execPreApp: told('pre'),
      execPostApp: told('post'),
      hookAccepting1: told('accepting'),
      execAsUserAtexit: told('exit'),
    },
  })
  await until('the start is told', () => log(tree).split('\n').length > 4)
  t.match(log(tree), /^asap\npre\n(accepting\npost|post\naccepting)\n$/)
  t.match(await tree.master.reload(silent), { ok: true })
  await until('the reload is told', () => log(tree).split('\n').length > 7)
  t.match(log(tree).split('\n').slice(4).join('\n'), /^pre\n(accepting\npost|post\naccepting)\n$/)
  await tree.master.stop('test')
  t.match(log(tree), /\nexit\n$/)
})

const started = (tree: Tree) => tree.told.filter(({ event }) => event === 'hook-start').length

t.test('a worker is accepting once, however often it says that it is ready', async t => {
  const ready = { type: 'ready', bootMs: 1 } as const
  const last = { type: 'event', event: 'metrics-trouble', fields: { why: 'it has said all' } } as const
  const readyCheck: Settings['readyCheck'] = { method: 'GET', path: '/ready', statuses: [200, 200] }
  const hookAccepting1 = ['echo accepting >> told']
  for (const settings of [{ hookAccepting1 }, { hookAccepting1, readyCheck }]) {
    const behaviour = { saysBefore: [ready, ready], says: [ready, ready, last], answers: [200] }
    const tree = await startTree(t, { settings: { ...settings, processes: 1 }, behaviour })
    await tree.event('metrics-trouble')
    await tree.event('hook-done')
    t.equal(started(tree), 1)
    t.equal(log(tree), 'accepting\n')
    await tree.master.stop('test')
  }
})

t.test('one hook of workers runs at a time, and once more for those that came meanwhile', async t => {
  const hookAccepting1 = ['until test -e go; do sleep 0.05; done; echo accepting >> told']
  const tree = await startTree(t, { settings: { hookAccepting1, processes: 1 } })
  for (let count = 1; count <= 2; count++) {
    const { pid } = tree.master.status().workers[0]!
    process.kill(pid!, 'SIGKILL')
    await tree.event('worker-ready', { slot: 1 }, count + 1)
  }
  t.equal(started(tree), 1)
  writeFileSync(join(tree.folder, 'go'), '')
  await tree.event('hook-done', {}, 2)
  t.equal(started(tree), 2)
  await tree.master.stop('test')
  t.equal(log(tree), 'accepting\naccepting\n')
})

t.test('a migration that fails keeps the old generation, with its lines', async t => {
  const tree = await startTree(t)
  reads(tree, { execPreApp: ['echo column is missing >&2; exit 3', 'echo never >> told'] })
  t.same(await tree.master.reload(silent), {
    ok: false,
    reason: 'exec-pre-app: echo column is missing >&2; exit 3: it ended with code 3',
    lines: ['column is missing'],
  })
  t.equal(tree.master.status().generation, 1)
  t.equal(log(tree), '')
})

t.test('a hook that fails ends the start', async t => {
  const failing = { execAsap: ['echo no disk >&2; exit 1'] }
  await t.rejects(plantTree(t, { settings: failing }).master.start(), {
    code: 'start',
    exitCode: 69,
    message: /^cannot start: exec-asap: .*: it ended with code 1\n {4}no disk$/,
  })
  const late = plantTree(t, { settings: { execPreApp: ['sleep 1000'], execTimeoutMs: 200 } })
  await t.rejects(late.master.start(), { message: /exec-pre-app: sleep 1000: not done within 200 ms$/ })
})

t.test('a stop does not wait for a start that waits', async t => {
  for (const settings of [
    { execPreApp: ['sleep 1000'] },
    { waitForFile: ['/no/such/file'], waitForFileTimeoutMs: 60_000 },
  ]) {
    const tree = plantTree(t, { settings })
    const started = tree.master.start()
    await Promise.race([tree.event('hook-start'), tree.event('start-waits')])
    tree.master.stop('enough')
    await t.rejects(started, { code: 'stopped', exitCode: 0 })
  }
})

t.test('the start waits for files and sockets', async t => {
  const tree = plantTree(t)
  const path = join(tree.folder, 'there')
  const socket = join(tree.folder, 'db')
  Object.assign(tree.settings, {
    waitForFile: [path],
    waitForSocket: [{ kind: 'unix', path: socket }],
    waitForFileTimeoutMs: 60_000,
    waitForSocketTimeoutMs: 60_000,
  })
  const started = tree.master.start()
  await tree.event('start-waits', { what: `wait-for-file=${path}` })
  writeFileSync(path, '')
  await tree.event('start-waits', { what: `wait-for-socket=${socket}` })
  const server = createServer().listen(socket)
  t.teardown(() => server.close())
  await started
  const inVain = plantTree(t, {
    settings: { waitForFile: ['/no/such'], waitForFileTimeoutMs: 1 },
  })
  await t.rejects(inVain.master.start(), { code: 'start-condition', exitCode: 69, message: /wait-for-file=\/no\/such/ })
})

t.test('cron jobs', async t => {
  let nowMs = 0
  let wallMs = Date.parse('2026-01-01T00:00:10Z')
  const events: string[] = []
  let running = 0
  let allDone = () => {}
  const kept: MasterContext = {
    nowMs: () => nowMs,
    log: (event: string, { name, why, signal }: EventFields = {}) =>
      events.push([event, name, why, signal].filter(Boolean).join(' ')),
    put: (event: MasterEvent) => {
      if (event.type !== 'command-end') return
      event.owner.ended(event.end)
      running -= 1
      if (running === 0) allDone()
    },
    gate: new OutputGate({ write: () => true, onDrain: () => {} }),
    pipes: testPipes(t),
  } as unknown as MasterContext
  const place = () => ({ cwd: '/', env: { PATH: process.env.PATH ?? '' }, credentials: null })
  const jobs = new CronJobs(kept, place, () => wallMs)
  const job = (text: string, isUnique = false) => {
    const parsed = cron(isUnique).parse(text, context)
    if (!parsed.ok) throw new Error(text)
    return parsed.value
  }
  const ended = (count: number) => {
    running += count
    return new Promise<void>(resolve => {
      allDone = resolve
    })
  }
  const settings = { cron: [job('-1 -1 -1 -1 -1 true'), job('-1 -1 -1 -1 -1 sleep 1000', true)], cronHarakiriMs: 0 }
  jobs.apply(settings)
  t.equal(jobs.check(), 50_000, 'the next minute')
  t.same(events, [])

  wallMs += 50_000
  nowMs += 50_000
  const first = ended(1)
  t.equal(jobs.check(), 110_000)
  await first
  t.same(events.splice(0), ['cron-start true', 'cron-start sleep', 'cron-exit true by-itself'])

  // Five minutes of sleep: made good once.
  wallMs += 300_000
  nowMs += 60_000
  const second = ended(1)
  jobs.check()
  await second
  t.same(events.splice(0), ['cron-start true', 'cron-skipped sleep still-running', 'cron-exit true by-itself'])

  wallMs -= 3_600_000
  t.equal(jobs.check(), nowMs + 60_000, 'a clock that was set back')
  t.same(events.splice(0), [])

  jobs.apply({ cron: [{ ...job('-1 -1 -1 -1 -1 sleep 1000'), harakiriMs: 1000 }], cronHarakiriMs: 0 })
  wallMs += 60_000
  jobs.check()
  nowMs += 1000
  const third = ended(1)
  jobs.check()
  await third
  t.same(events.splice(0), ['cron-start sleep', 'cron-exit sleep cron-harakiri SIGKILL'])
  t.notOk(jobs.areGone)
  const last = ended(1)
  jobs.stop(1000)
  await last
  t.same(events.splice(0), ['cron-exit sleep stop SIGTERM'])
  t.ok(jobs.areGone)
  t.equal(jobs.check(), null)
})
