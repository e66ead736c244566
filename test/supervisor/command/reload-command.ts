/** Tests `supervisor/command/reload-command.ts`: progress, and the truth at the end. */

import { join } from 'node:path'
import t from 'tap'
import { reloadCommand } from '../../../supervisor/command/reload-command.js'
import type { ControlAnswer } from '../../../supervisor/control/control-protocol.js'
import { fakeMaster, keptContext, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const cases: [string, ControlAnswer, number, string, string][] = [
  ['success', { type: 'done', ok: true }, 0, 'canary starts\nreloaded\n', ''],
  [
    'failure with the last lines of the worker, without what would move the cursor',
    { type: 'done', ok: false, reason: 'slot 1: exit 1', lines: ['Error: no', '\u001b[2Jat load'] },
    1,
    'canary starts\n',
    'daimyo: reload failed: slot 1: exit 1\n  Error: no\n   [2Jat load\n',
  ],
]
for (const [title, answer, exitCode, out, err] of cases) {
  t.test(title, async t => {
    const runDir = scratchFolder(t)
    await fakeMaster(t, join(runDir, 'control.sock'), report, (request, send) => {
      t.equal(request.command, 'reload')
      send({ type: 'progress', text: 'canary starts' })
      send(answer)
    })
    const context = keptContext(runDir)
    t.equal(await reloadCommand({ runDir, iniPath: null, iniSection: '' }, true, context), exitCode)
    t.equal(context.out, out)
    t.equal(context.err, err)
  })
}

t.test('not running is a failure', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(reloadCommand({ runDir, iniPath: null, iniSection: '' }, true, keptContext(runDir)), {
    code: 'not-running',
  })
})

t.test('without waiting it ends when the master has heard it', async t => {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report, (_request, send) => {
    send({ type: 'progress', text: 'reading the configuration' })
  })
  const context = keptContext(runDir)
  t.equal(await reloadCommand({ runDir, iniPath: null, iniSection: '' }, false, context), 0)
  t.equal(context.out, 'reading the configuration\n')
})

t.test('without waiting, too, a master that refuses is a failure', async t => {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report, (_request, send) => {
    send({ type: 'done', ok: false, reason: 'the master stops: SIGTERM', lines: [] })
  })
  const context = keptContext(runDir)
  t.equal(await reloadCommand({ runDir, iniPath: null, iniSection: '' }, false, context), 1)
  t.equal(context.err, 'daimyo: reload failed: the master stops: SIGTERM\n')
})
