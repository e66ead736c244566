/** `daimyo systemd`, with the real program. */

import { mkdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { Site } from '../fixtures/daimyo-program.js'

t.test('it prints what fits the INI, and no secret', async t => {
  const site = new Site(
    t,
    ['reload-mercy = 100', 'uid = www-data', 'env = PASSWORD=sesame', 'env = HOME=$(HOME)'],
    undefined,
    {
      HOME: '/root',
    },
  )
  const { code, out } = await site.run('systemd', 'site.ini', '--processes', '3')
  t.equal(code, EXIT.ok)
  t.match(out, /^# \/etc\/systemd\/system\/site\.service\n/)
  t.match(out, /^TimeoutStopSec=115$/m)
  t.match(out, /^User=www-data$/m)
  t.match(
    out,
    new RegExp(
      `^ExecStart=${process.execPath} --inspect-port=192\\.0\\.2\\.1:1024 /.*/daimyo\\.js ${site.ini} --processes=3$`,
      'm',
    ),
  )
  t.match(out, /^# The INI reads variables of the environment/m)
  t.match(out, new RegExp(`^ReadWritePaths=-${site.folder}$`, 'm'), 'the folder of its run-dir')
  t.notMatch(out, /^WorkingDirectory=/m, 'nothing depends on the folder')
  t.notMatch(out, /sesame/)
})

t.test('relative paths need their folder', async t => {
  const site = new Site(t, ['static-map = /=.'])
  t.match((await site.run('systemd', 'site.ini')).out, new RegExp(`^WorkingDirectory=${site.folder}$`, 'm'))
})

t.test('it writes them into a folder', async t => {
  const site = new Site(t, ['http = %dhttp.sock'])
  const { code, out } = await site.run('systemd', 'site.ini', site.folder)
  t.match({ code, out }, { code: EXIT.ok, out: `${site.path('site.service')}\n${site.path('site.socket')}\n` })
  t.match(readFileSync(site.path('site.socket'), 'utf8'), new RegExp(`^ListenStream=${site.path('http.sock')}$`, 'm'))
})

t.test('a folder is one of where it is typed', async t => {
  const site = new Site(t)
  mkdirSync(site.path('units'))
  t.match(await site.run('systemd', 'site.ini', 'units'), { code: EXIT.ok, out: /^units\/site\.service\n/ })
  t.ok(readFileSync(site.path('units/site.service'), 'utf8'))
})

t.test('the folder of a log below /var/log need not be there: the unit makes it', async t => {
  const name = `no-such-${process.pid}`
  const site = new Site(t, [`logto = /var/log/${name}/deep/x.log`])
  const { code, out } = await site.run('systemd', 'site.ini')
  t.equal(code, EXIT.ok)
  t.match(out, new RegExp(`^LogsDirectory=${name}/deep$`, 'm'))
  t.match(await site.run('check', 'site.ini'), {
    code: EXIT.config,
    out: /logto: no such folder to hold it: .* or a unit of `daimyo systemd`, which makes it$/m,
  })
  site.writeIni([`logto = /srv/${name}/x.log`])
  t.match(await site.run('systemd', 'site.ini'), { code: EXIT.config, err: /logto: no such folder to hold it/ })
})

const refused: [string, string[], RegExp, number][] = [
  ['a secret', ['site.ini', '--metrics-auth', 'a:b'], /--metrics-auth, which may be a secret/, EXIT.usage],
  ['a secret variable', ['site.ini', '--env', 'DB_PASSWORD=b'], /--env, which may be a secret/, EXIT.usage],
  ['no INI', ['--http', ':1', '--static-map', '/=/usr'], /systemd: received no INI/, EXIT.usage],
  [
    'an INI with a mistake',
    ['site.ini', '--processes', 'many'],
    /cannot print units: the configuration has 1 mistake/,
    EXIT.config,
  ],
  ['a folder that is not there', ['site.ini', '/nowhere'], /cannot write the unit: \/nowhere\/site\.service/, EXIT.os],
]
for (const [title, words, message, exitCode] of refused) {
  t.test(`refuses ${title}`, async t => {
    const { code, err, out } = await new Site(t).run('systemd', ...words)
    t.match({ code, err, out }, { code: exitCode, err: message, out: '' })
  })
}
