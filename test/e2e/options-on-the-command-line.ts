/** Any option may stand on the command line, where it wins over the INI; the INI may be named there or by DAIMYO_INI. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { WatchedSite } from './fixtures/watched-site.js'

const app = `
require('node:http').createServer((request, response) => response.end(process.env.CROP ?? 'none')).listen(3000)
`
const calls: [title: string, args: string[], expected: { wanted: number; crop: string }][] = [
  ['the INI alone', ['site.ini'], { wanted: 1, crop: 'rice' }],
  ['--ini', ['--ini', 'site.ini', '--processes', '4'], { wanted: 4, crop: 'rice' }],
  ['--ini=', ['--ini=site.ini', '--processes=2', '--env=CROP=barley'], { wanted: 2, crop: 'barley' }],
  ['behind the INI, by an alias', ['site.ini', '--workers', '3'], { wanted: 3, crop: 'rice' }],
  [
    'no INI at all',
    ['--app=app.cjs', '--http=127.0.0.1:0', '--metrics=false', '--run-dir=run'],
    { wanted: 1, crop: 'none' },
  ],
]
for (const [title, args, { wanted, crop }] of calls) {
  t.test(title, async t => {
    const site = new WatchedSite(t, ['processes = 1', 'env = CROP=rice'], { app })
    const running = await site.serve(...args)
    const { workers } = await site.status()
    t.equal(workers.length, wanted, 'workers')
    t.match(await ask(running.url, '/'), { status: 200, body: crop })
    t.match(await site.end(running), { code: 0 })
  })
}

t.test('DAIMYO_INI names the file when nothing else does', async t => {
  const site = new WatchedSite(t, ['env = CROP=rice'], { app, environment: { DAIMYO_INI: 'site.ini' } })
  const running = await site.serve('--processes', '2')
  t.equal((await site.status()).wanted, 2)
  t.match(await site.run('get', '/'), { code: 0, out: 'rice', err: '' }, 'and the other commands find it by that')
  t.match(await site.run('stop'), { code: 0 })
  t.match(await running.ended, { code: 0 })
})
