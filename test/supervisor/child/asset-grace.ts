/** Which folders of earlier releases are told to the proxies. */

import t from 'tap'
import { AssetGrace } from '../../../supervisor/child/asset-grace.js'
import type { Generation } from '../../../supervisor/child/master-context.js'
import { plainSettings } from '../fixtures/tree.js'

/** A generation whose static folders led to these places. */
function generation(real: string, assetGraceMs = 1000): Pick<Generation, 'settings' | 'release'> {
  const staticMap = [{ mount: '/', folder: '/srv/current/www' }]
  const settings = { ...plainSettings('/srv', '/srv/a.js'), staticMap, checkStatic: ['/srv/current'], assetGraceMs }
  const folders = new Map([
    ['/srv/current/www', `/srv/${real}/www`],
    ['/srv/current', `/srv/${real}`],
  ])
  return { settings, release: { app: null, chdir: '/srv', folders } }
}

function enter(grace: AssetGrace, real: string, nowMs: number, assetGraceMs?: number): string[] {
  const previous = grace.enter(generation(real, assetGraceMs), nowMs)
  return previous.map(({ folder, before, untilMs }) => `${folder} ${before} ${untilMs}`)
}

t.test('the release before, for so long', async t => {
  const grace = new AssetGrace()
  t.same(enter(grace, 'r1', 0), [])
  t.same(enter(grace, 'r1', 10), [], 'a reload of the same')
  t.same(enter(grace, 'r2', 100), ['/srv/r2/www /srv/r1/www 1100', '/srv/r2 /srv/r1 1100'])
  t.same(enter(grace, 'r2', 200), ['/srv/r2/www /srv/r1/www 1100', '/srv/r2 /srv/r1 1100'], 'another reload')
  t.same(
    enter(grace, 'r3', 300).filter(line => line.includes('www')),
    ['/srv/r3/www /srv/r2/www 1300', '/srv/r3/www /srv/r1/www 1100'],
    'newest first',
  )
  t.same(enter(grace, 'r3', 1100), ['/srv/r3/www /srv/r2/www 1300', '/srv/r3 /srv/r2 1300'], 'one is over')
  t.same(enter(grace, 'r3', 1300), [], 'all are over')
})

t.test('a release that comes back is not before itself', async t => {
  const grace = new AssetGrace()
  enter(grace, 'r1', 0)
  enter(grace, 'r2', 1)
  t.same(enter(grace, 'r1', 2), ['/srv/r1/www /srv/r2/www 1002', '/srv/r1 /srv/r2 1002'])
})

t.test('without the option, and within bounds', async t => {
  const grace = new AssetGrace()
  enter(grace, 'r0', 0, 0)
  t.same(enter(grace, 'r1', 1, 0), [])
  for (let n = 2; n < 20; n++) enter(grace, `r${n}`, n, 1e6)
  t.equal(enter(grace, 'r20', 20, 1e6).length, 8, 'four for each of two folders')
})
