/** Tests `app/host/application/master-channel.ts`, in a real worker: it waits for its master's first word, however late that comes. */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { batches, withNumbers } from '../../../../app/host/application/master-channel.js'
import { CHANNEL_DESCRIPTORS, Channel } from '../../../../kit/channel/channel.js'
import { isWithin } from '../../../../kit/channel/json-bounds.js'
import { type MasterToWorker, WORKER_MESSAGE_BOUNDS, type WorkerToMaster } from '../../../../kit/channel/messages.js'
import type { MetricFamily } from '../../../../kit/channel/metric-family.js'
import { readWorkerMessage } from '../../../../supervisor/child/child-message.js'
import { MetricsStore } from '../../../../supervisor/metrics/metrics-store.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'
import { startPiped, testPipes } from '../../../supervisor/fixtures/test-pipes.js'

const main = fileURLToPath(new URL('../../../../app/host/main.js', import.meta.url))

/** Runs beside the worker: prints `opened` once the channel was taken over, and `ran dry` when nothing keeps the process alive. */
const witness = `
const isOpen = () => process._getActiveHandles().some(handle => handle._handle?.fd === ${CHANNEL_DESCRIPTORS.reads})
const look = () => (isOpen() ? console.log('opened') : setImmediate(look))
look()
process.once('beforeExit', () => console.log('ran dry'))
`

t.test('a master that is slow is waited for', async t => {
  const folder = scratchFolder(t)
  const { child: worker, streams } = await startPiped(
    testPipes(t),
    {
      program: process.execPath,
      args: ['--import', `data:text/javascript,${encodeURIComponent(witness)}`, main],
      env: { ...process.env } as Record<string, string>,
      cwd: folder,
    },
    ['ignore', 'from-child', 'inherit', 'to-child', 'from-child'],
  )
  const [, stdout, , to, from] = streams as Socket[]
  t.teardown(() => worker.kill('SIGKILL'))
  const configure: MasterToWorker = {
    type: 'configure',
    settings: {
      workerId: 1,
      slot: 1,
      generation: 1,
      cpus: [4095],
      app: join(folder, 'app.cjs'),
      args: [],
      appPort: null,
      portMs: 0,
      clusterWorker: false,
      workerStartTimeoutMs: 60_000,
      waits: false,
      keepChildren: false,
      socketPath: join(folder, 'w.sock'),
      linkPath: join(folder, 'w.link'),
      tunnelPath: join(folder, 'w.tunnel'),
      socketMode: 0o660,
      waitReady: false,
      maxRequests: 0,
      utilizationMs: 0,
    },
  }
  const told: WorkerToMaster[] = []
  const channel = new Channel(
    { from: from!, to: to! },
    {
      mostBytes: 1e6,
      message: message => told.push(message as WorkerToMaster) > 0,
      closed: () => {},
    },
  )
  let printed = ''
  stdout!.setEncoding('utf8').on('data', (text: string) => {
    printed += text
    // Answered a turn later than it could be: a worker that does not wait has ended by then.
    if (text.includes('opened')) setImmediate(() => channel.send(configure))
  })
  const gone = Promise.all([once(worker, 'exit'), once(stdout!, 'close'), once(from!, 'close')])
  t.equal((await gone)[0][0], 1)
  t.equal(printed, 'opened\n', 'it never ran dry')
  t.match(told, [
    { type: 'event', event: 'affinity-trouble', fields: { why: /taskset|argument/ } },
    { type: 'failed', reason: /app\.cjs/ },
  ])
})

t.test('however many families an application has, each goes into one message that the master takes', t => {
  const family = (index: number, samples: number): MetricFamily => {
    const values = Array.from({ length: samples }, (_, value) => ({ labels: {}, value }))
    return { name: `f${index}`, help: '', type: 'gauge', aggregator: 'sum', values }
  }
  const cases: [title: string, families: MetricFamily[], messages: number][] = [
    ['none', [], 0],
    ['one that is gone', [family(0, 0)], 1],
    ['ten thousand without samples', Array.from({ length: 10_000 }, (_, index) => family(index, 0)), 10],
    ['one of many samples, and one more', [family(0, 5000), family(1, 1)], 2],
    ['one that is gone before others', [family(0, 0), family(1, 3), family(2, 0)], 1],
  ]
  for (const [title, families, messages] of cases) {
    const made = batches(families)
    t.equal(made.length, messages, title)
    t.same(made.flat(), families, title)
    for (const batch of made) t.ok(readWorkerMessage({ type: 'metrics', families: batch }), title)
  }
  t.end()
})

t.test('label values that are numerals travel as numbers, and print the same', t => {
  const family = (...labels: Record<string, string | number>[]): MetricFamily => {
    const values = labels.map((labels, value) => ({ labels, value }))
    return { name: 'requests', help: '', type: 'gauge', aggregator: 'sum', values }
  }
  const numbers = (...texts: string[]) =>
    withNumbers(family(...texts.map(value => ({ value })))).values.map(({ labels }) => labels.value)
  t.same(numbers('200', '0', '4294967295', '9999999999'), [200, 0, 4294967295, 9999999999])
  for (const text of ['', '007', '00', '1.0', '-1', '+1', '1e3', ' 1', '1\n', '12345678901', 'x1'])
    t.same(numbers('1', text), [1, text], JSON.stringify(text))
  const plain = family({ path: '/1', le: 0.5 })
  t.equal(withNumbers(plain), plain)

  const users = Array.from({ length: 10_000 }, (_, at) => ({ user: `${1e9 + at * 32768}`, port: `${at}`, é: 'x' }))
  const bytes = (families: MetricFamily[]) => Buffer.from(JSON.stringify({ type: 'metrics', families }))
  const within = (sent: Buffer) => isWithin(sent, 0, sent.length, WORKER_MESSAGE_BOUNDS)
  t.notOk(within(bytes([family(...users)])))
  t.ok(within(bytes([withNumbers(family(...users))])))

  const stored = (families: MetricFamily[]) => {
    const store = new MetricsStore({ log: () => {} })
    store.update('worker-1', families)
    return store.families().families
  }
  const told = family({ user: '1000000000', status: '200' }, { user: '2', status: '007' })
  t.same(stored([withNumbers(told)]), stored([told]))
  t.end()
})
