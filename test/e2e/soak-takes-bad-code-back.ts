/** What shows itself only under load is found while the first new worker soaks: the old ones serve beside it, and alone afterwards. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** `/ready` is always well, whatever becomes of the rest; `more` begins with its first answer, however slow the start was. */
const release = (name: string, answer: string, more = '') => `
require('node:http').createServer((request, response) => {
  const end = () => response.end('${name} ' + process.pid)
  if (request.url === '/ready') {
    end()
    begin()
  }
  else { ${answer} }
}).listen(3000)
let begin = () => {
  begin = () => {}
  ${more}
}`
const good = release('old', 'end()')
const lines = ['ready-check = /ready 200', 'soak = 1s', 'worker-reload-mercy = 5']

/** `harm`: most failures that clients may have seen, as a share of all. */
const broken: [title: string, processes: number, app: string, told: RegExp, harm: number, more?: string[]][] = [
  [
    'crashes after a while',
    2,
    release('bad', 'end()', `setTimeout(() => { throw new Error('the granary burns') }, 300)`),
    /worker ended with code \d+ before it had proven itself$[\s\S]*the granary burns/m,
    0,
  ],
  [
    'crashes after a while, with one worker',
    1,
    release('bad', 'end()', `setTimeout(() => process.kill(process.pid, 'SIGABRT'), 300)`),
    /worker ended by SIGABRT before it had proven itself$/m,
    0,
  ],
  [
    'blocks its loop',
    2,
    release('bad', 'end()', `setTimeout(() => { while (true); }, 300)`),
    /worker blocked its loop past harakiri before it had proven itself$/m,
    0.2,
    ['harakiri = 1', 'soak = 2s'],
  ],
  [
    'answers 500',
    2,
    release('bad', 'response.statusCode = 500; end()'),
    /of its \d+ answers were 5xx, 0 of \d+/,
    0.5,
    ['soak = 3s'],
  ],
  ['is slow', 2, release('bad', 'setTimeout(end, 80)'), /its answers took \d+ ms on average/, 0, ['soak = 3s']],
]
for (const [title, processes, app, told, harm, more = []] of broken) {
  t.test(title, async t => {
    const expected = [
      / worker-exit slot=1 pid=\d+ generation=2 /,
      / reload-failed/,
      /^daimyo: reload failed/,
      /^ {2}/,
      /harakiri/,
      /^Error: /,
      / {4}at /,
      /worker-crash|worker-uncaught|granary/,
    ]
    const site = new WatchedSite(t, [...lines, `processes = ${processes}`, ...more], { app: good, expected })
    const running = await site.serve()
    const client = new SteadyClient(t, running.url, 4, () => ({ path: '/' }))
    const before = await pidsOf(site)
    site.writeApp(app)
    const { code, out, err } = await site.run('reload', site.ini)
    t.equal(code, 1)
    t.match(out, /^generation 2: the first worker is ready and soaks for [123] s$/m)
    t.match(err, told)
    await site.untilReady()
    t.same(await pidsOf(site), before, 'the same workers serve')
    t.match(await ask(running.url, '/'), { status: 200, body: /^old / })
    const replies = await client.stop()
    const failures = failuresAmong(replies)
    t.ok(
      failures.length <= harm * replies.length,
      `${failures.length} of ${replies.length} failed: ${failures[0] ?? ''}`,
    )
    t.match(await site.end(running), { code: 0 })
  })
}

t.test('good code soaks, and then replaces all', async t => {
  const site = new WatchedSite(t, [...lines, 'processes = 2', 'soak = 3s'], { app: good })
  const running = await site.serve()
  const client = new SteadyClient(t, running.url, 4, () => ({ path: '/' }))
  site.writeApp(release('new', 'end()'))
  const { code, out } = await site.run('reload', site.ini)
  t.equal(code, 0)
  t.match(out, /^generation 2: soaked: \d+ answers, 0 of them 5xx$/m)
  t.match(out, /^generation 2: 2 of 2 workers ready\nreloaded$/m)
  const replies = await client.stop()
  t.same(failuresAmong(replies), [])
  t.ok(replies.some(({ body }) => body.startsWith('new ')) && replies.some(({ body }) => body.startsWith('old ')))
  t.match(await site.end(running), { code: 0 })
})

async function pidsOf(site: WatchedSite): Promise<(number | null)[]> {
  return (await site.status()).workers.map(({ pid }) => pid)
}
