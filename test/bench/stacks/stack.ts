import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask, freePorts } from '../../../bench/ask.js'
import { readProcesses } from '../../../bench/cpu.js'
import {
  type Bed,
  cleanEnvironment,
  type Plan,
  READY_PATH,
  type Stack,
  startStack,
} from '../../../bench/stacks/stack.js'

const calm = new AbortController().signal

async function bedIn(folder: string): Promise<Bed> {
  const [port = 0, sparePort = 0] = await freePorts(2)
  return { folder: join(folder, 'bed'), port, sparePort, app: '', siteFolder: '' }
}

/** A program that serves `port` and writes its pid, or ends at once with a last word. */
function program(bed: Bed, name: string, port: number, fails = false): Plan['programs'][number] {
  const serve = `require('fs').writeFileSync('${bed.folder}/${name}.pid', String(process.pid)); require('http').createServer((q, r) => r.end()).listen(${port}, '127.0.0.1')`
  const script = fails ? `console.error('last word'); process.exitCode = 7` : serve
  return {
    name,
    command: process.execPath,
    args: ['-e', script],
    env: cleanEnvironment(),
    logPath: join(bed.folder, `${name}.log`),
    ready: { url: `http://127.0.0.1:${port}${READY_PATH}` },
  }
}

function stackOf(plan: (bed: Bed) => Plan['programs']): Stack {
  const files = [{ name: 'file', text: 'text' }]
  return {
    name: 's',
    title: 's',
    kinds: ['json'],
    missing: () => null,
    plan: bed => ({ url: `http://127.0.0.1:${bed.port}`, files, programs: plan(bed) }),
  }
}

t.test('starts all programs, answers, and stops them', async t => {
  const bed = await bedIn(t.testdir())
  const stack = await startStack(
    stackOf(bed => [program(bed, 'a', bed.sparePort), program(bed, 'b', bed.port)]),
    bed,
    calm,
  )
  t.equal(readFileSync(join(bed.folder, 'file'), 'utf8'), 'text')
  t.equal((await ask({ url: stack.url }, calm)).status, 200)
  t.strictSame(
    stack.pids.map(String),
    ['a', 'b'].map(name => readFileSync(join(bed.folder, `${name}.pid`), 'utf8')),
  )
  t.strictSame(await stack.stop(), [])
  for (const pid of stack.pids) t.notOk(readProcesses().has(pid))
})

t.test('stops what it started when a later program fails', async t => {
  const bed = await bedIn(t.testdir())
  const starting = startStack(
    stackOf(bed => [program(bed, 'a', bed.sparePort), program(bed, 'b', bed.port, true)]),
    bed,
    calm,
  )
  await t.rejects(starting, {
    code: 'BENCH_START',
    message: /starting a program failed: b: .* ended with code 7\nlast word$/,
  })
  t.notOk(readProcesses().has(Number(readFileSync(join(bed.folder, 'a.pid'), 'utf8'))))
})

t.test('starts nothing once it is told to stop', async t => {
  const bed = await bedIn(t.testdir())
  const starting = startStack(
    stackOf(bed => [program(bed, 'a', bed.port)]),
    bed,
    AbortSignal.abort(new Error('told to stop')),
  )
  await t.rejects(starting, { message: 'told to stop' })
  t.notOk(existsSync(join(bed.folder, 'a.log')))
})

t.test('cleanEnvironment passes on nothing but PATH', t => {
  t.strictSame(cleanEnvironment({ PORT: '1' }), { PATH: process.env.PATH, NODE_ENV: 'production', PORT: '1' })
  t.end()
})
