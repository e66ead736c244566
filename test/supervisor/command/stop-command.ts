/** Tests `supervisor/command/stop-command.ts`: it ends when the process is gone, and not before. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { stopCommand } from '../../../supervisor/command/stop-command.js'
import { lifeOf } from '../../../supervisor/host/process-presence.js'
import { fakeMaster, keptContext, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

async function startChild(t: { teardown(work: () => unknown): unknown }) {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  return { child, pid: child.pid ?? 0 }
}

t.test('it waits for the end of the process, after the answer', async t => {
  const runDir = scratchFolder(t)
  const { child, pid } = await startChild(t)
  await fakeMaster(t, join(runDir, 'control.sock'), { ...report, pid }, (request, send) => {
    t.equal(request.command, 'stop')
    send({ type: 'progress', text: 'draining' })
    send({ type: 'done', ok: true })
    setImmediate(() => child.kill('SIGKILL'))
  })
  const context = keptContext(runDir)
  t.equal(await stopCommand({ runDir, iniPath: null, iniSection: '' }, context), EXIT.ok)
  t.equal(lifeOf(pid), null)
  t.equal(context.out, `draining\nstopped: pid ${pid}\n`)
})

t.test('a child of it that does not end is named, and makes it a failure', async t => {
  const runDir = scratchFolder(t)
  const { child, pid } = await startChild(t)
  await fakeMaster(t, join(runDir, 'control.sock'), { ...report, pid }, (_, send) => {
    const unended = [{ pid: 456, what: 'a worker of slot 2', why: 'it waits in the kernel (rpc_wait)' }]
    send({ type: 'done', ok: true, unended })
    setImmediate(() => child.kill('SIGKILL'))
  })
  const context = keptContext(runDir)
  t.equal(await stopCommand({ runDir, iniPath: null, iniSection: '' }, context), EXIT.failed)
  t.equal(context.out, `stopped: pid ${pid}\n`)
  t.match(context.err, 'pid 456, a worker of slot 2, does not end: it waits in the kernel (rpc_wait)')
})

t.test('a master that ends without an answer has stopped too', async t => {
  const runDir = scratchFolder(t)
  const path = join(runDir, 'control.sock')
  // It answers `status` and dies of `stop`, as under kill -9.
  const program = `
    require('node:net').createServer(socket => socket.on('data', data => {
      if (!String(data).includes('status')) return process.kill(process.pid, 'SIGKILL')
      socket.write(JSON.stringify({ type: 'done', ok: true, status: { ...${JSON.stringify(report)}, pid: process.pid } }) + '\\n')
    }).on('error', () => {})).listen(${JSON.stringify(path)}, () => process.stdout.write('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const context = keptContext(runDir)
  t.equal(await stopCommand({ runDir, iniPath: null, iniSection: '' }, context), EXIT.ok)
  t.equal(context.out, `stopped: pid ${child.pid}\n`)
})

t.test('a refusal is a failure', async t => {
  const runDir = scratchFolder(t)
  const { pid } = await startChild(t)
  await fakeMaster(t, join(runDir, 'control.sock'), { ...report, pid }, (_, send) => {
    send({ type: 'done', ok: false, reason: 'no', lines: [] })
  })
  const stopped = stopCommand({ runDir, iniPath: null, iniSection: '' }, keptContext(runDir))
  await t.rejects(stopped, { code: 'stop', exitCode: EXIT.failed, message: `cannot stop: pid ${pid}: no` })
})

t.test('not running is a failure', async t => {
  const runDir = scratchFolder(t)
  await t.rejects(stopCommand({ runDir, iniPath: null, iniSection: '' }, keptContext(runDir)), { code: 'not-running' })
})
