/** The files of ours through which a GET runs are those that ARCHITECTURE.md names, and few. */

import { existsSync, readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import t from 'tap'
import { request } from './fixtures/raw-client.js'
import { withRig } from './fixtures/rig.js'

const MOST_FILES = 25

const paragraph =
  /^A GET to the application runs through (?:.+\n)*/m.exec(readFileSync('ARCHITECTURE.md', 'utf8'))?.[0] ?? ''
const named = [...paragraph.matchAll(/`([a-z/-]+)`/g)]
  .map(([, name = '']) => name)
  .filter(name => name !== 'proxy/')
  .map(name => (name.startsWith('kit/') ? `${name}.ts` : `proxy/${name}.ts`))

t.test('what ARCHITECTURE.md names', async t => {
  t.same(
    named.filter(path => !existsSync(path)),
    [],
    'is there',
  )
  t.ok(new Set(named).size <= MOST_FILES, `${new Set(named).size} files`)
  for (const path of new Set(named)) t.ok(named.filter(name => name === path).length <= 2, `${path} at most twice`)
})

/** The result ends all intervals that have begun since: what they run, now and then, is no part of a request. */
function holdIntervals(t: { teardown(work: () => void): unknown }): () => void {
  const { setInterval } = globalThis
  const begun: NodeJS.Timeout[] = []
  const beginAndRemember = (...values: Parameters<typeof setInterval>) => {
    const timer = setInterval(...values)
    begun.push(timer)
    return timer
  }
  globalThis.setInterval = Object.assign(beginAndRemember, setInterval)
  t.teardown(() => {
    globalThis.setInterval = setInterval
  })
  return () => {
    for (const timer of begun) clearInterval(timer)
  }
}

t.test('what a GET runs through', async t => {
  const endIntervals = holdIntervals(t)
  const session = new Session()
  session.connect()
  t.teardown(() => session.disconnect())
  await session.post('Profiler.enable')
  await withRig(t, { workers: [(_, response) => void response.end('ok')] }, async rig => {
    const client = await rig.client()
    const get = async () => {
      client.send(request('GET', '/'))
      t.equal((await client.answer()).status, 200)
    }
    // Those of the sweep and of the access log.
    endIntervals()
    await get()
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
    await session.post('Profiler.takePreciseCoverage')
    await get()
    await rig.expectLines(2)
    const { result } = await session.post('Profiler.takePreciseCoverage')
    const files = result
      .filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
      .flatMap(({ url }) => /\/dist[^/]*\/((?:proxy|kit)\/.*)\.js$/.exec(url)?.[1] ?? [])
      .map(path => `${path}.ts`)
    t.same(
      files.filter(path => !named.includes(path)),
      [],
      'all are named',
    )
    t.same(
      named.filter(path => !files.includes(path)),
      [],
      'all that are named',
    )
  })
})
