/** What is removed of a run folder in use comes back: `supervisor/run-folder/run-folder-keeper.ts`, with a real folder and control socket. */

import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { askStatus } from '../../../supervisor/control/control-client.js'
import { startControlSocket } from '../../../supervisor/control/control-socket.js'
import { withHeldSocket } from '../../../supervisor/control/held-socket.js'
import { prepareRunFolder } from '../../../supervisor/run-folder/run-folder.js'
import { RunFolderKeeper } from '../../../supervisor/run-folder/run-folder-keeper.js'
import { report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

/** A folder in use; `told` resolves with the fields of the next event of that name. */
async function inUse(t: Test) {
  const path = join(scratchFolder(t), 'run')
  const folder = await prepareRunFolder(path, null)
  const log: [string, object][] = []
  let heard = () => {}
  const keeper = new RunFolderKeeper(folder, (event, fields = {}) => {
    log.push([event, fields])
    heard()
  })
  const control = await startControlSocket(folder.controlPath, async () => ({ type: 'done', ok: true, status: report }))
  keeper.keepControl(control)
  t.teardown(async () => {
    await control.close()
    await folder.release()
  })
  const told = async (name: string) => {
    while (!log.some(([event]) => event === name)) await new Promise<void>(resolve => (heard = resolve))
  }
  return { path, folder, keeper, log, told }
}

const removals: [title: string, remove: (path: string) => void, told: string[]][] = [
  ['the folder', path => rmSync(path, { recursive: true }), ['run-folder-restored', 'control-socket-restored']],
  [
    'what is in it',
    path => {
      for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true })
    },
    ['run-folder-restored', 'control-socket-restored'],
  ],
  ['the folder of the workers', path => rmSync(join(path, 'workers'), { recursive: true }), ['run-folder-restored']],
  ['the claim', path => rmSync(join(path, 'master.pid')), ['run-folder-restored']],
  ['the control socket', path => rmSync(join(path, 'control.sock')), ['control-socket-restored']],
]
for (const [title, remove, events] of removals) {
  t.test(`${title} is made anew`, async t => {
    const { path, folder, keeper, log, told } = await inUse(t)
    keeper.keep()
    t.same(log, [], 'nothing is missing')
    const before = readdirSync(path).sort()
    remove(path)
    keeper.keep()
    for (const event of events) await told(event)
    keeper.keep()
    t.same(
      log.map(([event]) => event),
      events,
      'once',
    )
    t.same(readdirSync(path).sort(), before)
    t.equal(lstatSync(path).mode & 0o777, 0o710)
    t.equal((await withHeldSocket(folder.controlPath, [], held => askStatus(held))).pid, report.pid)
    await t.rejects(prepareRunFolder(path, null), { code: 'already-running' })
  })
}

t.test('what it has made it removes at the end', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path, { mode: 0o750 })
  const folder = await prepareRunFolder(path, null)
  rmSync(path, { recursive: true })
  t.equal(folder.restore(), true)
  await folder.release()
  t.notOk(existsSync(path))
})

t.test('where it cannot be made the reason is told once, and again when it is another', async t => {
  const { path, keeper, log } = await inUse(t)
  rmSync(path, { recursive: true })
  writeFileSync(path, 'in the way')
  keeper.keep()
  keeper.keep()
  t.match(log, [['run-folder-lost', { path, why: /ENOTDIR/ }]])
  rmSync(path)
  chmodSync(dirname(path), 0o777)
  keeper.keep()
  t.match(log.slice(1), [['run-folder-lost', { why: /others may write/ }]])
  chmodSync(dirname(path), 0o700)
  keeper.keep()
  t.match(log.slice(2), [['run-folder-restored', { path }]])
})
