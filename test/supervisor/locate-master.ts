/** Tests `supervisor/locate-master.ts`: the master of an INI is found wherever its run folder is. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../kit/failure.js'
import { locateMaster } from '../../supervisor/locate-master.js'
import { claimFolder } from '../../supervisor/run-folder-claim.js'
import { fakeMaster, report } from './fixtures/fake-master.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

t.test('in our run folder', async t => {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report)
  const found = await locateMaster({ runDir, iniPath: null }, {})
  t.same(found, { controlPath: join(runDir, 'control.sock'), report, remark: '' })
})

t.test('in the run folder of another environment, by its name or by its INI, through links', async t => {
  const folder = scratchFolder(t)
  for (const name of ['other', 'service', 'shop-0123abcd', 'shop-11111111'])
    mkdirSync(join(folder, 'daimyo', name), { recursive: true })
  for (const name of ['other.ini', 'shop.ini', 'named.ini']) writeFileSync(join(folder, name), '')
  symlinkSync('shop.ini', join(folder, 'link.ini'))
  const masters: [string, string][] = [
    ['other', 'other.ini'],
    ['service', 'link.ini'],
    ['shop-0123abcd', 'named.ini'],
    // The same INI, another section of it.
    ['shop-11111111', 'shop.ini'],
  ]
  for (const [name, ini] of masters) {
    await fakeMaster(t, join(folder, 'daimyo', name, 'control.sock'), { ...report, iniPath: join(folder, ini) })
  }
  const locate = (runDir: string | null, ini: string) =>
    locateMaster({ runDir, iniPath: join(folder, ini) }, { XDG_RUNTIME_DIR: folder })
  const cases: [string, string | null, string, string][] = [
    ['by the INI', '/elsewhere/shop-22222222', 'shop.ini', 'service'],
    ['by the INI, without readable settings', null, 'shop.ini', 'service'],
    ['by the name', '/elsewhere/shop-0123abcd', 'third.ini', 'shop-0123abcd'],
  ]
  for (const [title, runDir, ini, expected] of cases) {
    t.equal((await locate(runDir, ini)).controlPath, join(folder, 'daimyo', expected, 'control.sock'), title)
  }
  const refused: [string, string, string][] = [
    ['not-running', '/elsewhere/third-33333333', 'third.ini'],
    ['ambiguous', '/elsewhere/shop-0123abcd', 'shop.ini'],
  ]
  const missing = { code: 'not-running', message: /^not running: .*, and there is no file .*nosuch\.ini$/ }
  await t.rejects(locate('/elsewhere/nosuch-44444444', 'nosuch.ini'), missing, 'an INI that is not there')
  for (const [code, runDir, ini] of refused) await t.rejects(locate(runDir, ini), { code }, code)
})

t.test('not running', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(locateMaster({ runDir, iniPath: null }, {}), { code: 'not-running', exitCode: EXIT.unavailable })
  await t.rejects(locateMaster({ runDir: null, iniPath: '/no/such.ini' }, {}), {
    code: 'not-running',
    message: /\/no\/such\.ini/,
  })
})

t.test('a master that answers nothing is named by its pid', async t => {
  const runDir = scratchFolder(t)
  const claim = claimFolder(runDir)
  t.teardown(claim.release)
  await fakeMaster(t, join(runDir, 'control.sock'), { ...report, version: 'x'.repeat(2 << 20) })
  await t.rejects(locateMaster({ runDir, iniPath: null }, {}), {
    code: 'no-answer',
    message: new RegExp(`its pid is ${process.pid}`),
  })
})
