/** Tests `supervisor/command/status-command.ts`. */

import { join } from 'node:path'
import t from 'tap'
import { statusCommand } from '../../../supervisor/command/status-command.js'
import { fakeMaster, keptContext, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

t.test('a table, or the raw report', async t => {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report)
  const sought = { runDir, iniPath: null, iniSection: '' }
  const table = keptContext(runDir)
  t.equal(await statusCommand(sought, false, table), 0)
  t.match(table.out, new RegExp(`^daimyo 0\\.1\\.0: pid ${process.pid}, no workers`))
  const raw = keptContext(runDir)
  t.equal(await statusCommand(sought, true, raw), 0)
  t.same(JSON.parse(raw.out), report)
  t.equal(table.err + raw.err, '')
})

t.test('not running is a failure', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(statusCommand({ runDir, iniPath: null, iniSection: '' }, true, keptContext(runDir)), {
    code: 'not-running',
  })
})
