/** Becoming the service's user, for good: seen from a child process that was started as root. */

import { execFileSync } from 'node:child_process'
import t from 'tap'
import type { Credentials } from '../../kit/messages.js'

const MODULE = new URL('../../kit/drop-privileges.js', import.meta.url).href

/** What a process is after it has dropped its privileges, and whether it can come back. */
function become(credentials: Credentials | null, user = 0): unknown {
  const script = `
    const { dropPrivileges } = await import(${JSON.stringify(MODULE)})
    if (${user} !== 0) process.setuid(${user})
    let error = null
    try { dropPrivileges(${JSON.stringify(credentials)}) } catch (thrown) { error = thrown.code }
    let back = true
    try { process.setuid(0) } catch { back = false }
    const who = [process.getuid(), process.geteuid(), process.getgid(), process.getegid()]
    console.log(JSON.stringify({ who, groups: process.getgroups(), back, error }))`
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { env: {}, encoding: 'utf8' }),
  )
}

const isRoot = process.getuid?.() === 0

t.test('becomes the user', { skip: isRoot ? false : 'needs root' }, async t => {
  t.same(
    become({ user: null, uid: 65534, gid: 65533 }),
    { who: [65534, 65534, 65533, 65533], groups: [65533], back: false, error: null },
    'without a name: no supplementary group but its own',
  )
  t.match(
    become({ user: 'nobody', uid: 65534, gid: 65534 }),
    { who: [65534, 65534, 65534, 65534], groups: [65534], back: false, error: null },
    'with a name: the groups of that user',
  )
  t.match(
    become({ user: 'no-such-user-here', uid: 65534, gid: 65533 }),
    { who: [65534, 65534, 65533, 65533], groups: [65533], back: false, error: null },
    'a name without an entry: no supplementary group but its own',
  )
})

t.test('changes nothing where there is nothing to change', { skip: isRoot ? false : 'needs root' }, async t => {
  t.match(become(null), { who: [0, 0, 0, 0], back: true, error: null }, 'no credentials')
  t.match(become({ user: null, uid: 1, gid: 1 }, 65534), { who: [65534, 65534, 0, 0], error: null }, 'not root')
})
