/** What is remembered of paths, for how long, and how much at most. */

import t from 'tap'
import { WarmPaths } from '../../../proxy/static/warm-paths.js'

t.test('remembers, and forgets what nobody asks for', async t => {
  const paths = new WarmPaths()
  paths.note('/a', 'file', 1000)
  paths.note('/b', 'missing', 1000)
  t.equal(paths.get('/a', 1001), 'file')
  t.equal(paths.get('/b', 1001), 'missing')
  t.equal(paths.get('/c', 1001), undefined)
  paths.note('/b', 'file', 1002)
  t.equal(paths.get('/b', 1002), 'file', 'what was seen last counts')
  t.equal(paths.get('/a', 6000), 'file', 'still known in the next generation')
  t.equal(paths.get('/a', 11_000), 'file', 'being asked for keeps it')
  t.equal(paths.get('/b', 11_000), undefined, 'not being asked for does not')
})

t.test('forgets everything after a long pause', async t => {
  const paths = new WarmPaths()
  paths.note('/a', 'file', 1000)
  t.equal(paths.get('/a', 60_000), undefined)
})

t.test('is bounded in number and in length', async t => {
  const paths = new WarmPaths()
  for (let at = 0; at < 20_000; at++) paths.note(`/${at}`, 'missing', 1)
  let known = 0
  for (let at = 0; at < 20_000; at++) if (paths.get(`/${at}`, 1) !== undefined) known++
  t.ok(known > 0 && known <= 8192 * 2, `${known} are known`)
  paths.note(`/${'a'.repeat(2000)}`, 'file', 1)
  t.equal(paths.get(`/${'a'.repeat(2000)}`, 1), undefined, 'a long path is not kept')
})
