/**
 * Two INIs that share a run folder, as those of two releases do: every command of the one leaves the other's master alone, says which INI that one runs,
 * and ends with another code than 0. What is meant by the same file through a link, or by the run folder alone, works.
 */

import { copyFileSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

t.test('a turned link, another section, another file', async t => {
  const site = new WatchedSite(t)
  site.writeIni([`run-dir = ${site.path('run')}`, `app = ${site.path('app.cjs')}`])
  for (const release of ['1', '2']) {
    mkdirSync(site.path(release))
    copyFileSync(site.ini, site.path(`${release}/site.ini`))
  }
  const text = `${site.read('site.ini')}${site.read('site.ini').replace('[uwsgi]', '[green]')}`
  writeFileSync(site.path('1/site.ini'), text)
  symlinkSync('1', site.path('current'))
  const running = await site.serve(site.path('1/site.ini'))
  t.match(await site.run('status', site.path('current/site.ini')), { code: EXIT.ok, err: '' })

  unlinkSync(site.path('current'))
  symlinkSync('2', site.path('current'))
  const before = await site.status()
  const others = [site.path('current/site.ini'), `${site.path('1/site.ini')}:green`]
  const commands = ['reload', 'stop', 'status', 'scale 2']
  for (const ini of others) {
    const asked = ini === others[0] ? commands : ['stop']
    const ended = await Promise.all(asked.map(command => site.run(...command.split(' '), ini)))
    for (const [index, { code, out, err }] of ended.entries()) {
      t.equal(code, EXIT.unavailable, `${asked[index]} ${ini}: ${out}${err}`)
      t.match(
        err,
        `${ini}: in run-dir=${site.path('run')} pid ${running.pid} runs another INI, ${site.path('1/site.ini')}: `,
      )
    }
  }
  t.match(await site.status(), { pid: before.pid, generation: 1, wanted: 1, stopping: false, paused: false })

  t.match(await site.run('pause', `--run-dir=${site.path('run')}`), { code: EXIT.ok })
  t.match(await site.run('stop', site.path('1/site.ini')), { code: EXIT.ok, out: /stopped/ })
  await running.ended
})
