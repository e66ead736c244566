/** Tests `supervisor/control/held-socket.ts`: which sockets are asked, and that one lookup decides about all requests. */

import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { askStatus, findMaster } from '../../../supervisor/control/control-client.js'
import { type HeldSocket, holdSocket, withHeldSocket } from '../../../supervisor/control/held-socket.js'
import { asServiceUser } from '../../../supervisor/user/service-user.js'
import { report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const statusAt = (path: string, trusted: readonly number[] = []) =>
  withHeldSocket(path, trusted, held => askStatus(held))

/** A run folder whose control socket says `name` to every client. */
async function sayer(t: { teardown(work: () => unknown): unknown }, runDir: string, name: string): Promise<void> {
  mkdirSync(runDir)
  const server = createServer(socket => socket.on('error', () => {}).end(name))
  await new Promise<void>(resolve => server.listen(join(runDir, 'control.sock'), resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
}

async function heardFrom(held: HeldSocket): Promise<string> {
  const socket = held.connect().setEncoding('utf8')
  let heard = ''
  socket.on('data', (text: string) => {
    heard += text
  })
  await once(socket, 'close')
  return heard
}

t.test('every connection reaches the listener of the lookup, wherever the path leads by then', async t => {
  const folder = scratchFolder(t)
  const link = join(folder, 'run')
  const [first, other] = [join(folder, 'first'), join(folder, 'other')]
  await sayer(t, first, 'first')
  await sayer(t, other, 'other')
  symlinkSync('first', link)
  const held = holdSocket(join(link, 'control.sock'))
  t.teardown(held.release)
  t.equal(await heardFrom(held), 'first')
  const changes: [string, () => void][] = [
    [
      'the folder is a link to another one',
      () => {
        symlinkSync('other', join(folder, 'next'))
        renameSync(join(folder, 'next'), link)
      },
    ],
    ['another socket has the name', () => renameSync(join(other, 'control.sock'), join(first, 'control.sock'))],
    ['the path leads nowhere', () => rmSync(link)],
  ]
  for (const [title, change] of changes) {
    change()
    t.equal(await heardFrom(held), 'first', title)
  }
})

t.test('a listener that has ended is not followed by another one', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'control.sock')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(path, resolve))
  const held = holdSocket(path)
  t.teardown(held.release)
  await new Promise(resolve => server.close(resolve))
  const next = createServer(() => t.fail('the next listener is asked'))
  await new Promise<void>(resolve => next.listen(path, resolve))
  t.teardown(() => new Promise(resolve => next.close(resolve)))
  await t.rejects(askStatus(held), { code: 'not-running' })
})

t.test('no descriptor is left, whether the socket was asked or refused', async t => {
  const folder = scratchFolder(t)
  await sayer(t, join(folder, 'run'), '')
  writeFileSync(join(folder, 'file'), '')
  const count = () => readdirSync('/proc/self/fd').length
  const before = count()
  holdSocket(join(folder, 'run/control.sock')).release()
  for (const name of ['file', 'none']) t.throws(() => holdSocket(join(folder, name)), { code: 'not-running' })
  t.equal(count(), before)
})

const skip = process.geteuid?.() === 0 ? false : 'needs root'
t.test('root asks no folder that a stranger made where everybody may', { skip }, async t => {
  const [service, stranger] = [65_533, 65_534]
  let asked = 0
  const folder = scratchFolder(t)
  const [shared, given] = [join(folder, 'shared'), join(folder, 'given')]
  /** A run folder of this user, at this place. */
  const runFolder = async (runDir: string, uid: number) => {
    mkdirSync(runDir, { recursive: true })
    const socketPath = join(runDir, 'control.sock')
    const server = createServer(socket => {
      asked++
      socket.resume().end(`${JSON.stringify({ type: 'done', ok: true, status: report })}\n`)
    })
    await new Promise<void>(resolve => server.listen(socketPath, resolve))
    t.teardown(() => new Promise(resolve => server.close(resolve)))
    for (const made of [runDir, socketPath]) chownSync(made, uid, uid)
    return socketPath
  }
  const planted = await runFolder(join(shared, 'planted'), stranger)
  const below = await runFolder(join(shared, 'planted/deep'), stranger)
  const services = await runFolder(join(shared, 'services'), service)
  const roots = await runFolder(join(shared, 'roots'), 0)
  const givens = await runFolder(join(given, 'run'), stranger)
  const open = await runFolder(join(folder, 'open/run'), 0)
  symlinkSync(join(shared, 'roots'), join(shared, 'link'))
  lchownSync(join(shared, 'link'), stranger, stranger)
  chmodSync(folder, 0o755)
  chmodSync(shared, 0o1777)
  chmodSync(join(folder, 'open'), 0o777)
  chownSync(given, stranger, stranger)
  const refused: [string, RegExp][] = [
    [planted, /shared\/planted belongs to \S+, in a folder that everybody may write to/],
    [below, /shared\/planted belongs to/],
    [join(shared, 'link/control.sock'), /shared\/link belongs to/],
    [open, /everybody may write to .*open/],
    // Nothing has to be there.
    [join(shared, 'planted/none/control.sock'), /shared\/planted belongs to/],
  ]
  for (const [socketPath, message] of refused)
    await t.rejects(statusAt(socketPath, [service]), { code: 'not-trusted', message, exitCode: 77 })
  await t.rejects(findMaster(services), { code: 'not-trusted' })
  t.equal(asked, 0)
  const asks: [string, number[]][] = [
    [services, [service]],
    [roots, []],
    [givens, []],
  ]
  for (const [socketPath, trusted] of asks) t.equal((await statusAt(socketPath, trusted)).pid, report.pid)
  await t.rejects(statusAt(join(shared, 'none/control.sock')), { code: 'not-running' })
})

t.test('the owner is that of the socket that is asked, and root connects as this user', { skip }, async t => {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  const [users, roots, link] = ['users', 'roots', 'users/run'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const uid = 65_534
  mkdirSync(users)
  await sayer(t, join(users, 'real'), 'users')
  await sayer(t, roots, 'roots')
  for (const path of [users, join(users, 'real'), join(users, 'real/control.sock')]) chownSync(path, uid, uid)
  asServiceUser({ user: null, uid, gid: uid }, () => symlinkSync('real', link))
  const held = holdSocket(join(link, 'control.sock'))
  t.teardown(held.release)
  asServiceUser({ user: null, uid, gid: uid }, () => {
    symlinkSync(roots, join(users, 'next'))
    renameSync(join(users, 'next'), link)
  })
  t.equal(held.foreignOwner, uid)
  t.equal(await heardFrom(held), 'users')
  // The kernel refuses this user, and would not refuse root.
  chmodSync(join(users, 'real/control.sock'), 0)
  await t.rejects(askStatus(held), { code: 'not-allowed' })
})
