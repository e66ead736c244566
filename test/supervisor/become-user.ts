/** Becoming the service's user, for good: `supervisor/become-user.ts`, seen from what it starts. */

import type { StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Credentials } from '../../kit/messages.js'
import { BRIEFLY, readCapabilities, spawnAs, splitEnvironment } from '../../supervisor/become-user.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

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
    'CapInh:\t0000000000000400\nCapPrm:\t000001ffffffffff\nCapEff:\t0\nCapBnd:\tf\nCapAmb:\t0000000000000001\n'
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

async function become(credentials: Credentials | null, env: Record<string, string> = {}, cwd = '/', find?: () => null) {
  const program = { program: process.execPath, args: ['-e', tell], env, cwd }
  const child = spawnAs(credentials, program, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] }, find)
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

t.test('without setpriv a user of one group is had all the same', { skip }, async t => {
  const nothing = () => null
  t.match(await become(nobody, { LD_LIBRARY_PATH: '/x' }, undefined, nothing), {
    who: [65_534, 65_534, 65_534, 65_534],
    groups: [65_534],
    back: false,
    env: { LD_LIBRARY_PATH: '/x' },
  })
})

t.test('the folder is entered as the user', { skip }, async t => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'closed'), { mode: 0o700 })
  t.match(await become(nobody, {}, '/usr'), { cwd: '/usr' })
  for (const path of [folder, join(folder, 'closed'), '/no/such/folder']) {
    await t.rejects(become(nobody, {}, path), {
      message: new RegExp(`cannot enter ${path} as uid=nobody: E(ACCES|NOENT)`),
    })
  }
})

t.test('the folder is entered however low the number of its descriptor is', { skip }, async t => {
  // More streams than this process has open.
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe', ...Array(40).fill(2)] as StdioOptions
  const before = readdirSync('/proc/self/fd').length
  const child = spawnAs(nobody, { program: '/bin/pwd', args: [], env: {}, cwd: '/usr' }, { stdio })
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
