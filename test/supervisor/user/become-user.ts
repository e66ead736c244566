/** Becoming the service's user, for good: `supervisor/user/become-user.ts`, seen from what it starts. */

import type { StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Credentials } from '../../../kit/channel/messages.js'
import { EXIT } from '../../../kit/ground/failure.js'
import { systemProgram } from '../../../kit/ground/system-path.js'
import {
  BRIEFLY,
  checkSetpriv,
  readCapabilities,
  type System,
  spawnAs,
  splitEnvironment,
  whyNotEntered,
} from '../../../supervisor/user/become-user.js'
import { identitySwitches } from '../../../supervisor/user/service-user.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const unsafe: [name: string, value: string, isUnsafe: boolean][] = [
  ['LD_PRELOAD', '/x.so', true],
  ['LD_LIBRARY_PATH', '', true],
  ['LD_AUDIT', '/x.so', true],
  ['GLIBC_TUNABLES', 'glibc.malloc.check=3', true],
  ['GCONV_PATH', '/x', true],
  ['LOCPATH', '/x', true],
  ['NLSPATH', '/x', true],
  ['MALLOC_TRACE', '/x', true],
  ['TMPDIR', '/x', true],
  ['TZDIR', '/x', true],
  ['RES_OPTIONS', 'debug', true],
  ['HOSTALIASES', '/x', true],
  ['LANGUAGE', '../../../srv/site', true],
  ['TZ', ':/srv/site/zone', true],
  ['LC_ALL', '/x', true],
  ['LANG', 'en_US.UTF-8', false],
  ['TZ', 'UTC', false],
  ['PASSWORD', '/x', false],
  ['OLD_LD_PRELOAD', '/x', false],
  ['NODE_OPTIONS', '--require /x', false],
  ['PATH', '/x', false],
]
for (const [name, value, isUnsafe] of unsafe) {
  t.test(`${name}=${value} ${isUnsafe ? 'does not reach' : 'may reach'} a program with privileges`, async t => {
    const { safe, unsafe } = splitEnvironment({ [name]: value })
    t.same([safe, unsafe], isUnsafe ? [{}, { [name]: value }] : [{ [name]: value }, {}])
  })
}

t.test('reads the capabilities of a process', async t => {
  const status =
    'Name:\tnode\nCapInh:\t0000000000000400\nCapPrm:\t000001ffffffffff\nCapEff:\t0\nCapBnd:\tf\nCapAmb:\t0000000000000001\n'
  t.same(readCapabilities(status), { inheritable: 0x400n, permitted: 0x1ffffffffffn, ambient: 1n })
  t.same(readCapabilities(''), { inheritable: 0n, permitted: 0n, ambient: 0n })
})

const skip = process.getuid?.() !== 0 && 'needs root'
const nobody = { user: 'nobody', uid: 65_534, gid: 65_534 }
const tell = `
  let back = true
  try { process.setuid(0) } catch { back = false }
  const who = [process.getuid(), process.geteuid(), process.getgid(), process.getegid()]
  console.log(JSON.stringify({ who, groups: process.getgroups(), back, cwd: process.cwd(), env: process.env }))`

async function become(credentials: Credentials | null, env: Record<string, string> = {}, cwd = '/', system?: System) {
  const program = { program: process.execPath, args: ['-e', tell], env, cwd }
  const child = spawnAs(credentials, program, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] }, system)
  const [out, err] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  return out === '' ? { err } : JSON.parse(out)
}

const identities: [title: string, Credentials, ids: number[], groups: number[]][] = [
  ['a name gives the groups of that user', nobody, [65_534, 65_534, 65_534, 65_534], [65_534]],
  [
    'without a name there is no group but its own',
    { user: null, uid: 65_534, gid: 65_533 },
    [65_534, 65_534, 65_533, 65_533],
    [65_533],
  ],
  [
    'a name without an entry has none either',
    { user: 'no-such-user', uid: 65_534, gid: 65_533 },
    [65_534, 65_534, 65_533, 65_533],
    [65_533],
  ],
]
for (const [title, credentials, who, groups] of identities) {
  t.test(title, { skip }, async t => t.match(await become(credentials), { who, groups, back: false }))
}

t.test('variables arrive whole, the unsafe ones too', { skip }, async t => {
  const env = { PASSWORD: 'a=b c\n"d"', TMPDIR: '/tmp/a b', LANG: 'C.UTF-8', LC_ALL: '/x', EMPTY: '' }
  t.same((await become(nobody, env)).env, env)
})

t.test('without credentials nothing changes', { skip }, async t => {
  t.match(await become(null), { who: [0, 0, 0, 0], back: true })
})

const onLinux = (find: System['find']): System => ({ find, platform: 'linux' })
const nothing = () => null

t.test('without setpriv nothing starts, because the user could hold up its start', { skip }, async t => {
  const refused = { code: 'setpriv', exitCode: EXIT.os, message: /^setpriv of util-linux .* as uid=nobody$/ }
  await t.rejects(become(nobody, {}, '/', onLinux(nothing)), refused)
  const withEnv = (name: string) => (name === 'env' ? systemProgram(name) : null)
  await t.rejects(become(nobody, {}, '/usr', onLinux(withEnv)), refused)
})

const findings: [title: string, credentials: Credentials | null, system: System, why: RegExp | null][] = [
  ['it is there', nobody, onLinux(systemProgram), null],
  ['it is missing', nobody, onLinux(nothing), /^cannot start: setpriv of util-linux is not .* as uid=nobody: install /],
  ['that of busybox, which has no --version', nobody, onLinux(() => '/bin/false'), /util-linux.* Alpine$/],
  ['the children are root too', null, onLinux(nothing), null],
  ['macOS has none', nobody, { find: nothing, platform: 'darwin' }, null],
]
for (const [title, credentials, system, why] of findings) {
  t.test(`setpriv at the start: ${title}`, { skip }, async t => {
    const check = () => checkSetpriv(credentials, system)
    if (why === null) t.doesNotThrow(check)
    else t.throws(check, { code: 'setpriv', exitCode: EXIT.os, message: why })
  })
}

t.test('on macOS, without setpriv, a user of one group is had all the same', { skip }, async t => {
  const macOs: System = { find: nothing, platform: 'darwin' }
  t.match(await become(nobody, { LD_LIBRARY_PATH: '/x' }, undefined, macOs), {
    who: [65_534, 65_534, 65_534, 65_534],
    groups: [65_534],
    back: false,
    env: { LD_LIBRARY_PATH: '/x' },
  })
})

/** As busybox: its env has no `-C`. */
const withoutFolders = (name: string) => (name === 'env' ? '/bin/false' : systemProgram(name))

const ways: [title: string, find: System['find']][] = [
  ['by env', systemProgram],
  ['by its descriptor', withoutFolders],
]
for (const [title, find] of ways) {
  t.test(`the folder is entered as the user: ${title}`, { skip }, async t => {
    const folder = scratchFolder(t)
    mkdirSync(join(folder, 'closed'), { mode: 0o700 })
    symlinkSync('/root', join(folder, '-C=link'))
    t.match(await become(nobody, {}, '/usr', onLinux(find)), { cwd: '/usr', env: {} })
    for (const path of [folder, join(folder, 'closed'), '/no/such/folder', '/etc/passwd', '/no such: folder'])
      t.match(await whyNot(path, find), new RegExp(`^cannot enter ${path} as uid=nobody: E(ACCES|NOENT|NOTDIR): `))
    chmodSync(folder, 0o755)
    t.match(await whyNot(join(folder, '-C=link'), find), /-C=link as uid=nobody: EACCES: /)
  })
}

/** Why a program cannot begin in the folder. */
async function whyNot(cwd: string, find: System['find']): Promise<string | null> {
  try {
    const program = { program: '/bin/true', args: [], env: { LANG: 'C' }, cwd }
    const child = spawnAs(nobody, program, { stdio: ['ignore', 'ignore', 'pipe'] }, onLinux(find))
    const [lines, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
    return whyNotEntered({ credentials: nobody, cwd }, code, lines.trimEnd().split('\n'))
  } catch (error) {
    return (error as Error).message
  }
}

t.test('what a program says itself is not taken for a folder that cannot be entered', async t => {
  const where = { credentials: nobody, cwd: '/srv' }
  const said = `env: cannot change directory to '/srv': Permission denied`
  const cases: [code: number | null, lines: string[], expected: string | null][] = [
    [125, [said], 'cannot enter /srv as uid=nobody: EACCES: permission denied'],
    [
      125,
      [`/usr/bin/env: das Verzeichnis '/srv' geht nicht: Keine Berechtigung`],
      'cannot enter /srv as uid=nobody: its last line says why',
    ],
    [125, ['env: /srv: stopped: pid 1 \u001b[2J'], 'cannot enter /srv as uid=nobody: its last line says why'],
    [1, [said], null],
    [null, [said], null],
    [125, [], null],
    [125, [said, 'Error: no database'], null],
    [125, [`env: cannot change directory to '/other': Permission denied`], null],
  ]
  for (const [code, lines, expected] of cases) t.equal(whyNotEntered(where, code, lines), expected, `${code} ${lines}`)
  t.equal(whyNotEntered({ ...where, credentials: null }, 125, [said]), null)
})

t.test('a spawn changes no identity of this process', { skip }, async t => {
  const who: [title: string, credentials: Credentials, env: Record<string, string>][] = [
    ['a name with its groups', nobody, {}],
    ['a number', { ...nobody, user: null }, {}],
    ['variables that setpriv must not see', nobody, { LD_LIBRARY_PATH: '/x' }],
  ]
  for (const [title, credentials, env] of who) {
    await become(credentials, env, '/usr')
    const before = identitySwitches()
    t.match(await become(credentials, env, '/usr'), { who: [65_534, 65_534, 65_534, 65_534], cwd: '/usr', env })
    t.equal(identitySwitches(), before, title)
  }
})

t.test('the folder is entered however low the number of its descriptor is', { skip }, async t => {
  // More streams than this process has open.
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe', ...Array(40).fill(2)] as StdioOptions
  const before = readdirSync('/proc/self/fd').length
  const program = { program: '/bin/pwd', args: [], env: {}, cwd: '/usr' }
  const child = spawnAs(nobody, program, { stdio }, onLinux(withoutFolders))
  t.equal((await text(child.stdout!)).trim(), '/usr')
  await new Promise(resolve => setImmediate(resolve))
  t.ok(readdirSync('/proc/self/fd').length <= before + 4, 'nothing stays open')
})

t.test('a program that is asked something is not waited for when its user has stopped it', { skip }, async t => {
  const child = spawnAs(
    nobody,
    { program: '/bin/sh', args: ['-c', 'kill -STOP $$'], env: {}, cwd: '/' },
    { stdio: 'ignore', ...BRIEFLY, timeout: 100 },
  )
  t.same(await once(child, 'exit'), [null, 'SIGKILL'])
})
