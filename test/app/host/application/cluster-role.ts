/** Tests `app/host/application/cluster-role.ts`: in a process of its own an application that would fork listens. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'
import { startProgram } from '../../fixtures/program.js'

const role = fileURLToPath(new URL('../../../../app/host/application/cluster-role.js', import.meta.url))

const END = `const end = { isTold: () => false, replace: () => console.log(JSON.stringify('replaced')), exit: () => process.exit() }
`

/** Runs `source` as an ES module in which `playClusterWorker` and `livingClusterWorkers` are known, and returns what it prints as JSON. */
async function run(t: Test, source: string): Promise<unknown> {
  const path = join(scratchFolder(t), 'program.mjs')
  writeFileSync(
    path,
    `import { playClusterWorker, livingClusterWorkers } from ${JSON.stringify(role)}\n${END}${source}`,
  )
  const { printed } = startProgram(t, [path])
  const [line] = await printed(/^(\{.*\}|".*")$/m)
  return JSON.parse(line)
}

t.test('what an application asks before it forks', async t => {
  const seen = await run(
    t,
    `
playClusterWorker(3, end)
const cluster = (await import('node:cluster')).default
const { isPrimary } = await import('node:cluster')
const { id, isDead, isConnected } = cluster.worker
console.log(JSON.stringify({ isPrimary, is: [cluster.isPrimary, cluster.isMaster, cluster.isWorker], id,
  worker: cluster.worker instanceof cluster.Worker, alive: [isDead(), isConnected(), cluster.worker.send('x')], workers: typeof cluster.workers }))
process.exit()`,
  )
  t.same(seen, {
    isPrimary: false,
    is: [false, false, true],
    id: 3,
    worker: true,
    alive: [false, true, false],
    workers: 'undefined',
  })
})

t.test('sockets of all kinds are opened in the process itself', async t => {
  const seen = await run(
    t,
    `
import { once } from 'node:events'
import net from 'node:net'
import dgram from 'node:dgram'
import http from 'node:http'
playClusterWorker(1, end)
const web = http.createServer((q, s) => s.end('served')).listen(0, '127.0.0.1')
await once(web, 'listening')
const text = await (await fetch('http://127.0.0.1:' + web.address().port)).text()
const path = net.createServer().listen(new URL('s', import.meta.url).pathname)
await once(path, 'listening')
const udp = dgram.createSocket('udp4').bind(0, '127.0.0.1')
await once(udp, 'listening')
const again = net.createServer().listen(web.address().port, '127.0.0.1')
const [{ code }] = await once(again, 'error')
console.log(JSON.stringify({ text, path: typeof path.address(), udp: udp.address().port > 0, code }))
process.exit()`,
  )
  t.same(seen, { text: 'served', path: 'string', udp: true, code: 'EADDRINUSE' })
})

t.test('its end is that of the process', async t => {
  for (const how of ['kill', 'disconnect', 'destroy']) {
    const seen = await run(
      t,
      `
playClusterWorker(1, end)
const { default: cluster } = await import('node:cluster')
process.on('SIGTERM', () => { console.log(JSON.stringify({ told: 'SIGTERM' })); process.exit() })
setInterval(() => {}, 1000)
cluster.worker.${how}()`,
    )
    t.same(seen, { told: 'SIGTERM' }, how)
  }
})

t.test('it is replaced where the application does not listen to SIGTERM', async t => {
  const source = `
playClusterWorker(1, end)
const { default: cluster } = await import('node:cluster')
setInterval(() => {}, 1000)
cluster.worker.disconnect()`
  t.equal(await run(t, source), 'replaced')
})

t.test('told to end, it closes its servers and says so once', async t => {
  const handler = `
const { default: cluster } = await import('node:cluster')
const { createServer } = await import('node:http')
createServer().listen(0, '127.0.0.1')
let told = 0
process.on('SIGTERM', () => {
  told += 1
  cluster.worker.disconnect()
})
cluster.worker.on('disconnect', () => {
  const { exitedAfterDisconnect } = cluster.worker
  console.log(JSON.stringify({ told, exitedAfterDisconnect, isConnected: cluster.worker.isConnected() }))
})
`
  const end = { exitedAfterDisconnect: true, isConnected: false }
  t.same(
    await run(t, `playClusterWorker(1, { ...end, isTold: () => true })${handler}process.emit('SIGTERM', 'SIGTERM')`),
    { told: 1, ...end },
    'by daimyo',
  )
  t.same(
    await run(t, `playClusterWorker(1, end)${handler}process.kill(process.pid, 'SIGTERM')`),
    { told: 2, ...end },
    'by itself',
  )
})

t.test('workers that were forked all the same are counted', async t => {
  const seen = await run(
    t,
    `
const { default: cluster } = await import('node:cluster')
if (cluster.isPrimary) {
  const before = livingClusterWorkers()
  const workers = [cluster.fork(), cluster.fork()]
  const after = livingClusterWorkers()
  for (const worker of workers) worker.process.kill('SIGKILL')
  console.log(JSON.stringify({ before, after }))
  process.exit()
}`,
  )
  t.same(seen, { before: 0, after: 2 })
})
