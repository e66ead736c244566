/** Tests `app/host/master-channel.ts`, in a real worker: it waits for its master's first word, however late that comes. */

import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { MasterToWorker, WorkerToMaster } from '../../../kit/messages.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

const main = fileURLToPath(new URL('../../../app/host/main.js', import.meta.url))

/** Runs beside the worker: says `opened` once the channel was taken over, and `ran dry` when nothing keeps the process alive. */
const witness = `
const send = process.send.bind(process)
const look = () => process.send === undefined ? send('opened') : setImmediate(look)
look()
process.once('beforeExit', () => { process.channel.ref(); send('ran dry') })
`

t.test('a master that is slow is waited for', async t => {
  const folder = scratchFolder(t)
  const worker = fork(main, { execArgv: ['--import', `data:text/javascript,${encodeURIComponent(witness)}`] })
  t.teardown(() => worker.kill('SIGKILL'))
  const configure: MasterToWorker = {
    type: 'configure',
    settings: {
      workerId: 1,
      slot: 1,
      generation: 1,
      cpus: [4095],
      app: join(folder, 'app.cjs'),
      waits: false,
      socketPath: join(folder, 'w.sock'),
      linkPath: join(folder, 'w.link'),
      tunnelPath: join(folder, 'w.tunnel'),
      socketMode: 0o660,
      maxRequests: 0,
      utilizationMs: 0,
    },
  }
  const told: unknown[] = []
  const failed = new Promise<WorkerToMaster>(resolve =>
    worker.on('message', (message: WorkerToMaster | string) => {
      told.push(message)
      // Answered a turn later than it could be: a worker that does not wait has ended by then.
      if (message === 'opened') setImmediate(() => worker.send(configure))
      else if (message === 'ran dry') resolve({ type: 'failed', reason: message, stack: '' })
      else if (typeof message === 'object' && message.type === 'failed') resolve(message)
    }),
  )
  const gone = new Promise<number | null>(resolve => worker.on('exit', resolve))
  t.match(await failed, { type: 'failed', reason: /app\.cjs/ }, 'its first word was understood')
  t.equal(told[0], 'opened')
  t.match(told[1], { event: 'affinity-trouble', fields: { slot: 1, why: /taskset|argument/ } }, 'there is no such CPU')
  t.equal(await gone, 1)
})
