import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type GcTotals, gcEnvironment, gcShare, readGcTotals } from '../../bench/gc.js'
import { Program } from '../../bench/program.js'

const calm = new AbortController().signal
const totals = (pauseMicroseconds: number, helperMicroseconds: number, cpuMicroseconds: number): GcTotals => {
  return { pauseMicroseconds, helperMicroseconds, cpuMicroseconds }
}

t.test('gcShare', t => {
  const cases: [string, GcTotals, GcTotals, number | null][] = [
    ['pauses and helpers', totals(1, 2, 100), totals(11, 12, 180), 0.25],
    ['no collection', totals(1, 2, 100), totals(1, 2, 180), 0],
    ['pauses by the wall clock that are longer than the CPU time', totals(0, 0, 0), totals(90, 0, 80), 1],
    ['no CPU time', totals(1, 2, 100), totals(1, 2, 100), null],
  ]
  for (const [title, before, after, expected] of cases) t.equal(gcShare(before, after), expected, title)
  t.end()
})

/** Not below the test's folder, whose name is too long for unix sockets. */
function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'gc-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A program in `file` that makes garbage for each connection to its socket, which it closes then. */
async function startGarbage(t: Test, folder: string, file: string): Promise<Program> {
  const entry = join(folder, file)
  mkdirSync(join(entry, '..'), { recursive: true })
  const garbage = 'const kept = []; for (let i = 0; i < 2e6; i++) kept[i % 1e5] = { i }'
  writeFileSync(entry, `require('net').createServer(socket => { ${garbage}; socket.end() }).listen('${entry}.sock')`)
  const program = await Program.start({
    name: file,
    command: process.execPath,
    args: [entry],
    env: gcEnvironment(folder),
    logPath: `${entry}.log`,
  })
  t.teardown(() => program.stop())
  while (!readdirSync(join(entry, '..')).includes('main.js.sock') && program.end === null)
    await new Promise(setImmediate)
  t.equal(program.end, null, program.lastLines())
  return program
}

async function makeGarbage(path: string): Promise<void> {
  const socket = connect(path).resume()
  await once(socket, 'close')
}

t.test('a proxy counts, and nothing else does', async t => {
  const folder = makeFolder(t)
  await startGarbage(t, folder, 'host/main.js')
  await t.rejects(readGcTotals(folder, calm), { code: 'BENCH_GC', message: /no proxy counts it/ })
  await startGarbage(t, folder, 'proxy/main.js')
  const before = await readGcTotals(folder, calm)
  await makeGarbage(join(folder, 'host/main.js.sock'))
  await makeGarbage(join(folder, 'proxy/main.js.sock'))
  const after = await readGcTotals(folder, calm)
  t.ok(after.pauseMicroseconds > before.pauseMicroseconds, `${after.pauseMicroseconds} µs of pauses`)
  t.ok(after.helperMicroseconds > before.helperMicroseconds, `${after.helperMicroseconds} µs of V8's threads`)
  t.ok(after.cpuMicroseconds > before.cpuMicroseconds)
  const share = gcShare(before, after) ?? 0
  t.ok(share > 0 && share <= 1, `share ${share}`)
})

t.test('a proxy that never tells', async t => {
  const folder = makeFolder(t)
  const server = createServer().listen(join(folder, 'gc-1.sock'))
  t.teardown(() => server.close())
  const stop = new AbortController()
  const reading = readGcTotals(folder, stop.signal)
  await once(server, 'connection')
  stop.abort(new Error('told to stop'))
  await t.rejects(reading, { message: 'told to stop' })
})
