/** Tests `supervisor/command/locate-master.ts`: the master of an INI is found wherever its run folder is. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { locateMaster } from '../../../supervisor/command/locate-master.js'
import { claimFolder } from '../../../supervisor/run-folder/run-folder-claim.js'
import { fakeMaster, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

t.test('in our run folder', async t => {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report)
  const found = await locateMaster({ runDir, iniPath: null, iniSection: '' }, {})
  t.match(found, { socket: { path: join(runDir, 'control.sock'), foreignOwner: null }, report, remark: '' })
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
    locateMaster({ runDir, iniPath: join(folder, ini), iniSection: '' }, { XDG_RUNTIME_DIR: folder })
  const cases: [string, string | null, string, string][] = [
    ['by the INI', '/elsewhere/shop-22222222', 'shop.ini', 'service'],
    ['by the INI, without readable settings', null, 'shop.ini', 'service'],
    ['by the name', '/elsewhere/shop-0123abcd', 'named.ini', 'shop-0123abcd'],
  ]
  for (const [title, runDir, ini, expected] of cases) {
    t.equal((await locate(runDir, ini)).socket.path, join(folder, 'daimyo', expected, 'control.sock'), title)
  }
  const refused: [string, string, string][] = [
    ['not-running', '/elsewhere/third-33333333', 'third.ini'],
    ['another-ini', '/elsewhere/shop-0123abcd', 'third.ini'],
  ]
  const missing = { code: 'not-running', message: /^not running: .*, and there is no file .*nosuch\.ini$/ }
  await t.rejects(locate('/elsewhere/nosuch-44444444', 'nosuch.ini'), missing, 'an INI that is not there')
  for (const [code, runDir, ini] of refused) await t.rejects(locate(runDir, ini), { code }, code)
})

const skip = process.geteuid?.() === 0 ? false : 'needs root'
t.test('root finds the master of the user whose INI it is, and believes no other user', { skip }, async t => {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  const { TMPDIR } = process.env
  process.env.TMPDIR = folder
  t.teardown(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  })
  const [owner, other] = [65_533, 65_534]
  const inis = { mine: owner, theirs: other, roots: 0 }
  for (const [name, uid] of Object.entries(inis)) {
    writeFileSync(join(folder, `${name}.ini`), '')
    chownSync(join(folder, `${name}.ini`), uid, uid)
    // Each has a master of the first user.
    const runDir = join(folder, `daimyo-${owner}/${name}-0123abcd`)
    mkdirSync(runDir, { recursive: true, mode: 0o755 })
    await fakeMaster(t, join(runDir, 'control.sock'), { ...report, iniPath: join(folder, `${name}.ini`) })
    for (const path of [join(runDir, '..'), runDir, join(runDir, 'control.sock')]) chownSync(path, owner, owner)
  }
  const locate = (name: string) =>
    locateMaster({ runDir: `/run/daimyo/${name}-0123abcd`, iniPath: join(folder, `${name}.ini`), iniSection: '' }, {})
  t.match(await locate('mine'), {
    socket: { path: join(folder, `daimyo-${owner}/mine-0123abcd/control.sock`), foreignOwner: owner },
    remark: /^daimyo: what follows is said by a process of .*65533/,
  })
  await t.rejects(locate('theirs'), { code: 'not-running' })
  await t.rejects(locate('roots'), { code: 'not-running' })
  chmodSync(join(folder, `daimyo-${owner}`), 0o777)
  await t.rejects(locate('mine'), { code: 'not-running' }, 'a folder that others may write to')
})

t.test('root refuses a run folder of a stranger, and names it', { skip }, async t => {
  const folder = scratchFolder(t)
  const runDir = join(folder, 'run')
  mkdirSync(runDir)
  await fakeMaster(t, join(runDir, 'control.sock'), report)
  for (const path of [runDir, join(runDir, 'control.sock')]) chownSync(path, 65_534, 65_534)
  chmodSync(folder, 0o1777)
  const locate = (serviceUid: number | null) => locateMaster({ runDir, serviceUid, iniPath: null, iniSection: '' }, {})
  for (const uid of [null, 65_533]) await t.rejects(locate(uid), { code: 'not-trusted', message: /run belongs to/ })
  t.match(await locate(65_534), { socket: { foreignOwner: 65_534 }, remark: /said by a process of/ })
})

t.test('those that do not answer cost one deadline together', async t => {
  const folder = scratchFolder(t)
  let connected = 0
  for (let number = 0; number < 50; number++) {
    mkdirSync(join(folder, `daimyo/${number}`), { recursive: true })
    const server = createServer(socket => {
      connected++
      socket.on('error', () => {}).resume()
    })
    await new Promise<void>(resolve => server.listen(join(folder, `daimyo/${number}/control.sock`), resolve))
    t.teardown(() => new Promise(resolve => server.close(resolve)))
  }
  const sought = { runDir: join(folder, 'none'), iniPath: null, iniSection: '' }
  const beganMs = performance.now()
  await t.rejects(locateMaster(sought, { XDG_RUNTIME_DIR: folder }, 500), { code: 'not-running' })
  t.ok(performance.now() - beganMs < 50 * 500 * 0.5)
  t.equal(connected, 50)
})

t.test('of several, none is guessed', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'shop.ini'), '')
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, 'daimyo', name), { recursive: true })
    const status = { ...report, iniPath: join(folder, 'shop.ini') }
    await fakeMaster(t, join(folder, 'daimyo', name, 'control.sock'), status)
  }
  const sought = { runDir: '/elsewhere/shop-0123abcd', iniPath: join(folder, 'shop.ini'), iniSection: '' }
  await t.rejects(locateMaster(sought, { XDG_RUNTIME_DIR: folder }), { code: 'ambiguous' })
})

t.test('the master of another INI in our run folder', async t => {
  const folder = scratchFolder(t)
  for (const name of ['1', '2', 'run']) mkdirSync(join(folder, name))
  for (const name of ['1/site.ini', '2/site.ini']) writeFileSync(join(folder, name), '')
  symlinkSync('2', join(folder, 'current'))
  const running: [
    ini: string | null,
    section: string | undefined,
    asked: string | null,
    askedSection: string,
    refused: RegExp | null,
  ][] = [
    ['1/site.ini', undefined, '1/site.ini', '', null],
    ['2/site.ini', '', 'current/site.ini', 'uwsgi', null],
    ['current/gone.ini', '', 'current/gone.ini', '', null],
    ['1/site.ini', 'blue', '1/site.ini', 'blue', null],
    ['1/site.ini', '', null, '', null],
    [
      '1/site.ini',
      '',
      'current/site.ini',
      '',
      /current\/site\.ini: in run-dir=.*pid \d+ runs another INI, .*1\/site\.ini: accepted that INI/,
    ],
    ['1/site.ini', 'blue', '1/site.ini', 'green', /1\/site\.ini:green: .*runs another INI, .*1\/site\.ini:blue/],
    ['1/site.ini', 'blue', '1/site.ini', '', /runs another INI, .*1\/site\.ini:blue/],
    ['1/site.ini', '', '1/gone.ini', '', /1\/gone\.ini: .*runs another INI/],
    [null, undefined, '1/site.ini', '', /runs without an INI: accepted --run-dir=/],
  ]
  const pathOf = (name: string | null) => (name === null ? null : join(folder, name))
  for (const [number, [ini, section, asked, iniSection, refused]] of running.entries()) {
    const runDir = join(folder, 'run', String(number))
    mkdirSync(runDir)
    const status = { ...report, iniPath: pathOf(ini), ...(section === undefined ? {} : { iniSection: section }) }
    await fakeMaster(t, join(runDir, 'control.sock'), status)
    const found = locateMaster({ runDir, iniPath: pathOf(asked), iniSection }, {})
    if (refused === null) t.equal((await found).report.pid, process.pid, `${number}`)
    else await t.rejects(found, { code: 'another-ini', exitCode: EXIT.unavailable, message: refused }, `${number}`)
  }
})

t.test('not running', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(locateMaster({ runDir, iniPath: null, iniSection: '' }, {}), {
    code: 'not-running',
    exitCode: EXIT.unavailable,
  })
  await t.rejects(locateMaster({ runDir: null, iniPath: '/no/such.ini', iniSection: '' }, {}), {
    code: 'not-running',
    message: /\/no\/such\.ini/,
  })
})

t.test('one whose run folder was removed is waited for until it has made it anew', async t => {
  const folder = scratchFolder(t)
  const ini = join(folder, 'site.ini')
  writeFileSync(ini, '')
  const titled = spawn(process.execPath, [
    '-e',
    `process.title = 'daimyo: master ${ini}'; console.log(process.title); setInterval(() => {}, 1e6)`,
  ])
  t.teardown(() => titled.kill())
  t.equal(String((await once(titled.stdout, 'data'))[0]), `daimyo: master ${ini}\n`)
  for (const [title, iniSection] of [
    ['the INI', ''],
    ['a section of it', 'blue'],
  ] as const) {
    const runDir = join(folder, `run-${iniSection}`)
    const controlPath = join(runDir, 'control.sock')
    // It has looked for the socket when it returns.
    const located = locateMaster({ runDir, iniPath: ini, iniSection }, {})
    mkdirSync(runDir)
    const [found] = await Promise.all([located, fakeMaster(t, controlPath, { ...report, iniPath: ini, iniSection })])
    t.equal(found.socket.path, controlPath, title)
  }
  const never = { runDir: join(folder, 'never'), iniPath: ini, iniSection: '' }
  await t.rejects(locateMaster(never, {}), { code: 'not-running' }, 'one that makes none is not waited for for ever')
})

t.test('a master that answers nothing is named by its pid', async t => {
  const runDir = scratchFolder(t)
  const claim = claimFolder(runDir)
  t.teardown(claim.release)
  await fakeMaster(t, join(runDir, 'control.sock'), { ...report, version: 'x'.repeat(2 << 20) })
  await t.rejects(locateMaster({ runDir, iniPath: null, iniSection: '' }, {}), {
    code: 'no-answer',
    message: new RegExp(`its pid is ${process.pid}`),
  })
})
