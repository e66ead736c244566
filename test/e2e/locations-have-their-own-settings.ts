/** `[location:/path]`: what an option says there holds there, before and after a reload. */

import { join } from 'node:path'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { topFolder, WatchedSite } from './fixtures/watched-site.js'

const app = `app = ${join(topFolder, 'test/applications/needs-time.cjs')}`

t.test('sizes and deadlines of a place, and their change by a reload', async t => {
  const lines = (limit: string) => [
    app,
    'limit-post = 1k',
    'harakiri = 60',
    '[location:/wide]',
    `limit-post = ${limit}`,
    '[location:/wide/short]',
    'harakiri = 500ms',
  ]
  const site = new WatchedSite(t, lines('4k'), { expected: [/ request-harakiri /] })
  const running = await site.serve()
  const statusOf = async (path: string, bytes: number) =>
    (await ask(running.url, path, { method: 'POST', body: 'x'.repeat(bytes) })).status
  const cases: [path: string, bytes: number, status: number][] = [
    ['/wait?ms=0', 1024, 200],
    ['/wait?ms=0', 1025, 413],
    ['/wide/wait?ms=0', 4096, 200],
    ['/wide/wait?ms=0', 4097, 413],
    ['/%77ide/x/../wait?ms=0', 4096, 200],
    ['/wider/wait?ms=0', 4096, 413],
    ['/wide/short/wait?ms=0', 4096, 200],
    ['/wide/short/wait?ms=2000', 1, 504],
  ]
  for (const [path, bytes, status] of cases) t.equal(await statusOf(path, bytes), status, `${bytes} bytes to ${path}`)
  site.writeIni(lines('8k'))
  t.equal((await site.run('reload', site.ini)).code, 0)
  t.equal(await statusOf('/wide/wait?ms=0', 8192), 200, 'after the reload')
  t.match(await site.end(running), { code: 0 })
})
