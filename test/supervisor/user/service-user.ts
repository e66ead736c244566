/** `supervisor/user/service-user.ts`: the identity of a piece of work, and that it is given back. Needs root; skipped without. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  addThreadHolder,
  asServiceUser,
  groupsOf,
  identitySwitches,
  mayBecomeUser,
  mayBecomeUserWithin,
  renewGroups,
} from '../../../supervisor/user/service-user.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const nobody = { user: 'nobody', uid: 65_534, gid: 65_534 }
const identity = () => ({ uid: process.geteuid?.(), gid: process.getegid?.(), groups: process.getgroups?.() })

t.test('the work is done as the user, what comes after it as root', { skip }, t => {
  const before = identity()
  t.match(asServiceUser(nobody, identity), { uid: 65_534, gid: 65_534 })
  t.same(identity(), before)
  const folder = mkdtempSync(join(tmpdir(), 'service-user-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'secret'), 'root’s', { mode: 0o600 })
  t.throws(() => asServiceUser(nobody, () => readFileSync(join(folder, 'secret'))), { code: 'EACCES' })
  t.same(identity(), before, 'also behind an error')
  t.equal(readFileSync(join(folder, 'secret'), 'utf8'), 'root’s')
  t.end()
})

t.test('without root’s groups', { skip }, t => {
  t.notOk(asServiceUser(nobody, identity).groups?.includes(0))
  t.same(
    asServiceUser({ ...nobody, user: null }, identity).groups?.filter(group => group !== 65_534),
    [],
  )
  t.same(groupsOf({ ...nobody, user: null }), [65_534])
  t.equal(groupsOf(nobody)[0], 65_534)
  t.end()
})

t.test('groups are looked up once, and again when that is asked for', { skip }, t => {
  renewGroups(nobody)
  const before = identitySwitches()
  for (let times = 0; times < 3; times++) t.same(groupsOf(nobody)[0], nobody.gid)
  t.equal(identitySwitches(), before)
  renewGroups(nobody)
  t.equal(identitySwitches(), before + 1)
  t.equal(groupsOf({ ...nobody, gid: 65_533 })[0], 65_533, 'of each identity its own')
  t.end()
})

t.test('whoever may hold a thread keeps root from becoming the user', { skip }, async t => {
  let isHeld = true
  const removals = [addThreadHolder(() => isHeld), addThreadHolder(() => false)]
  t.same([mayBecomeUser(nobody), mayBecomeUser(null)], [false, true])
  isHeld = false
  t.ok(mayBecomeUser(nobody))
  isHeld = true
  t.equal(await mayBecomeUserWithin(nobody, 1), false)
  t.equal(await mayBecomeUserWithin(null, 1), true)
  const waited = mayBecomeUserWithin(nobody, 60_000)
  for (const remove of removals) remove()
  t.equal(await waited, true)
  t.ok(mayBecomeUser(nobody))
})

t.test('a new file is the user’s', { skip }, t => {
  const folder = mkdtempSync(join(tmpdir(), 'service-user-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  t.equal(statSync(folder).uid, 0)
  t.throws(() => asServiceUser(nobody, () => writeFileSync(join(folder, 'new'), '')), { code: 'EACCES' })
  t.equal(
    asServiceUser(null, () => process.geteuid?.()),
    0,
    'nobody to become',
  )
  t.end()
})
