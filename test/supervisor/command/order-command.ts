/** Tests `supervisor/command/order-command.ts`: what is sent, and the truth at the end. */

import { join } from 'node:path'
import t from 'tap'
import { type OrderedRequest, orderCommand } from '../../../supervisor/command/order-command.js'
import type { ControlAnswer } from '../../../supervisor/control/control-protocol.js'
import { fakeMaster, keptContext, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const well: ControlAnswer = { type: 'done', ok: true }

const cases: [OrderedRequest, ControlAnswer, exitCode: number, out: string, err: string][] = [
  [{ command: 'scale', wanted: 3 }, well, 0, 'step\nscaled: 3 workers serve\n', ''],
  [{ command: 'restart-worker', slot: 2 }, well, 0, 'step\nrestarted: slot 2\n', ''],
  [{ command: 'pause' }, well, 0, 'step\npaused: requests wait until `daimyo resume`\n', ''],
  [{ command: 'resume' }, well, 0, 'step\nresumed\n', ''],
  [{ command: 'reopen-logs' }, well, 0, 'step\nthe logs are open again\n', ''],
  [
    { command: 'restart-worker', slot: 9 },
    { type: 'done', ok: false, reason: 'no slot 9', lines: ['\u001b[2Jlast words'] },
    1,
    'step\n',
    'daimyo: restart-worker failed: no slot 9\n   [2Jlast words\n',
  ],
]
for (const [request, answer, exitCode, out, err] of cases) {
  t.test(JSON.stringify(request), async t => {
    const runDir = scratchFolder(t)
    await fakeMaster(t, join(runDir, 'control.sock'), report, (received, send) => {
      t.same(received, request)
      send({ type: 'progress', text: 'step' })
      send(answer)
    })
    const context = keptContext(runDir)
    t.equal(await orderCommand({ runDir, iniPath: null, iniSection: '' }, request, context), exitCode)
    t.equal(context.out, out)
    t.equal(context.err, err)
  })
}

t.test('not running is a failure', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(orderCommand({ runDir, iniPath: null, iniSection: '' }, { command: 'pause' }, keptContext(runDir)), {
    code: 'not-running',
  })
})
