/**
 * CPUs, variables of files and names reach each worker before its application is loaded, and its successors of the same slot; a file that cannot be read
 * keeps a reload from happening, and nothing of it is shown. Public unix sockets are for whom the INI says.
 */

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { cpusOfSlot, readCpuList } from '../../supervisor/host/cpu-affinity.js'
import { ask, skipWithout } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** Tells what it found when it was loaded. */
const app = `
const { availableParallelism } = require('node:os')
const { TOKEN, FIRST, GONE, PLAIN, WINS } = process.env
const found = JSON.stringify({ TOKEN, FIRST, GONE, PLAIN, WINS, cpus: availableParallelism() })
require('node:http').createServer((request, response) => response.end(found)).listen(3000)
`

/** The CPUs that each thread of a process may use. */
function cpusOf(pid: number | null): string[] {
  const folder = `/proc/${pid}/task`
  const lists = readdirSync(folder).map(thread => {
    return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(join(folder, thread, 'status'), 'utf8'))?.[1] ?? ''
  })
  return [...new Set(lists)]
}

const lines = [
  'processes = 2',
  'cpu-affinity = 1',
  'procname-prefix-spaced = shop',
  'http = 127.0.0.1:0',
  'http = %dhttp.sock',
  'chmod-socket',
  'env-file = %dshop.env',
  'envdir = %denv',
  'env = WINS=ini',
  'attach-daemon = echo has $FIRST; exec sleep 1000',
]

t.test('they get it, and keep it', await skipWithout('taskset', 'util-linux'), async t => {
  const environment = { GONE: 'inherited', PLAIN: 'inherited' }
  const expected = [/signal=SIGKILL/, /daemon-exit .*why=stop/, /reload-failed|not reloaded/]
  const site = new WatchedSite(t, lines, { app, environment, expected })
  writeFileSync(site.path('shop.env'), 'TOKEN="sesame 1"\nFIRST=file\nWINS=file\n')
  mkdirSync(site.path('env'))
  writeFileSync(site.path('env/FIRST'), 'folder\n')
  writeFileSync(site.path('env/GONE'), '')
  const running = await site.serve()
  const allowed = readCpuList(cpusOf(process.pid)[0] ?? '')
  const areBound = async () => {
    const { workers } = await site.untilReady()
    for (const { slot, pid } of workers) t.same(cpusOf(pid), [cpusOfSlot(slot, 1, allowed).join()], `slot ${slot}`)
    return workers
  }
  const [first] = await areBound()
  const found = { TOKEN: 'sesame 1', FIRST: 'folder', PLAIN: 'inherited', WINS: 'ini', cpus: 1 }
  t.same(JSON.parse((await ask(running.url, '/')).body), found)
  await running.seen(/^\[echo\] has folder$/m)
  t.equal(statSync(site.path('http.sock')).mode & 0o777, 0o666)
  const names = site.processes().map(line => line.replace(/^\d+ /, ''))
  for (const name of ['master', 'proxy 1', 'worker 1', 'worker 2'])
    t.ok(
      names.some(line => line.startsWith(`shop daimyo: ${name}`)),
      name,
    )

  process.kill(first?.pid ?? 0, 'SIGKILL')
  await until('another worker', async () => (await site.untilReady()).workers[0]?.pid !== first?.pid)
  await areBound()

  writeFileSync(site.path('shop.env'), 'TOKEN=sesame 2\nsesame 3\n')
  const refused = await site.run('reload', site.ini)
  t.match(refused, { code: EXIT.failed, err: /shop\.env:2: env-file: received something else/ })
  t.equal((await site.status()).generation, 1)

  writeFileSync(site.path('shop.env'), 'TOKEN=sesame 4\n')
  t.match(await site.run('reload', site.ini), { code: EXIT.ok })
  t.match(JSON.parse((await ask(running.url, '/')).body), { TOKEN: 'sesame 4' })
  await areBound()
  t.match(await site.end(running), { code: EXIT.ok })
  t.notMatch([running.out(), running.err(), refused.err].join(), /sesame/, 'secrets are nowhere to be seen')
})
