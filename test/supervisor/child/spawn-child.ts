/** One child process: `supervisor/child/spawn-child.ts`. */

import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ChannelBudget } from '../../../kit/channel/channel.js'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { Child, type ChildSpec } from '../../../supervisor/child/spawn-child.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import { CHANNEL_SOURCE } from '../fixtures/child-channel.js'
import { testPipes } from '../fixtures/test-pipes.js'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'daimyo-child-')))
t.teardown(() => rmSync(folder, { recursive: true }))
const pipes = testPipes(t)

interface End {
  code: number | null
  signal: string | null
  error: string | null
  messages: unknown[]
  broken: string | null
  printed: string
  child: Child
}

/** Runs a program to its end; `onMessage` may do things to it. */
function run(
  source: string,
  more: Partial<ChildSpec> = {},
  onMessage: (child: Child) => void = () => {},
): Promise<End> {
  const entry = join(folder, 'program.cjs')
  writeFileSync(entry, CHANNEL_SOURCE + source)
  const messages: unknown[] = []
  let printed = ''
  let broken: string | null = null
  const gate = new OutputGate({
    write: chunk => {
      printed += Buffer.from(chunk).toString()
      return true
    },
    onDrain: () => {},
  })
  const spec: ChildSpec = {
    entry,
    nodeArgs: [],
    credentials: null,
    title: 'a child',
    cwd: folder,
    env: {},
    stdout: 'pipe',
    descriptors: [],
    limits: {
      budget: new ChannelBudget({ messagesPerSecond: 1000, messages: 1000, bytesPerSecond: 1e6, bytes: 1e6 }),
    },
    ...more,
  }
  return new Promise(resolve => {
    const child: Child = new Child(
      spec,
      { gate, pipes },
      {
        message: message => {
          messages.push(message)
          onMessage(child)
          return message !== 'not ours'
        },
        channelClosed: why => {
          broken = why
        },
        slowed: () => {},
        exit: (code, signal, error) => resolve({ code, signal, error, messages, broken, printed, child }),
      },
    )
  })
}

const ends: [string, string, Partial<ChildSpec>, Partial<Record<keyof End, unknown>>][] = [
  ['an exit', 'process.exit(7)', {}, { code: 7, signal: null, error: null }],
  ['a signal', 'process.kill(process.pid, "SIGKILL")', {}, { code: null, signal: 'SIGKILL' }],
  [
    'its last words come first',
    'say("bye", () => { console.log("out"); console.error("err"); process.exit(0) })',
    {},
    { messages: ['bye'] },
  ],
  ['its folder and name', 'say([process.cwd(), process.title]); line.end()', {}, { messages: [[folder, 'a child']] }],
  [
    'no trace of how it was started',
    'say([process.argv.slice(1), process.execArgv, Object.keys(require.cache)]); line.end()',
    { nodeArgs: ['--no-warnings'] },
    { messages: [[[join(folder, 'program.cjs')], ['--no-warnings'], [join(folder, 'program.cjs')]]] },
  ],
  ['only its own environment', 'say(Object.keys(process.env)); line.end()', { env: { A: 'b' } }, { messages: [['A']] }],
  ['a folder that is not there', '', { cwd: '/nowhere' }, { code: null, signal: null, error: /ENOENT/ }],
  ['an environment that is too large', '', { env: { BIG: 'x'.repeat(10_000_000) } }, { code: null, error: /E2BIG/ }],
]
for (const [title, source, spec, expected] of ends) {
  t.test(title, async t => {
    t.match(await run(source, spec), expected)
  })
}

/** Says both addresses of the child's end of each pipe, as the kernel writes them. */
const ADDRESSES = `
const { readFileSync, readlinkSync } = require('node:fs')
const rows = readFileSync('/proc/self/net/tcp', 'latin1').split('\\n').map(row => row.trim().split(/ +/))
const inodeOf = fd => readlinkSync('/proc/self/fd/' + fd).replace(/\\D/g, '')
say([1, 2, 3, 4].map(fd => rows.find(row => row[9] === inodeOf(fd)).slice(1, 3)), () => `

for (const [title, end] of [
  ['exits', 'process.exit(0))'],
  ['is killed', 'process.kill(process.pid, "SIGKILL"))'],
] as const) {
  t.test(`the kernel keeps no port of a child that ${title}`, { skip: !existsSync('/proc/net/tcp') }, async t => {
    const { messages } = await run(ADDRESSES + end)
    const [ends] = messages as [string, string][][]
    t.equal(ends?.length, 4)
    const kept = readFileSync('/proc/net/tcp', 'latin1').split('\n')
    t.same(
      kept.filter(row =>
        ends?.some(([near, far]) => row.includes(`${near} ${far} `) || row.includes(`${far} ${near} `)),
      ),
      [],
    )
  })
}

t.test('both outputs are forwarded, and the last lines of the second are kept', async t => {
  const { printed, child } = await run('console.log("out"); console.error("one\\ntwo")')
  t.same(printed.split('\n').sort(), ['', 'one', 'out', 'two'])
  t.same(child.errorLines(), ['one', 'two'])
})

t.test('it leads a session of its own: the Ctrl-C of a terminal does not reach it', async t => {
  const { messages, child } = await run(
    'say(require("fs").readFileSync("/proc/self/stat", "latin1").replace(/^.*\\) /, "").split(" ").slice(2, 4)); line.end()',
  )
  t.same(messages, [[String(child.pid), String(child.pid)]])
})

t.test('SIGKILL ends what ignores everything else', async t => {
  const source = 'process.on("SIGTERM", () => {}); say("up"); while (true);'
  t.match(await run(source, {}, child => child.kill()), { signal: 'SIGKILL', code: null })
})

t.test('a child that is gone is neither signalled nor spoken to', async t => {
  const { child } = await run('process.exit(0)')
  const killed = watchKill(t)
  child.kill()
  child.send({ type: 'stop' })
  t.same(killed, [])
})

t.test('its start is known as long as its number is, and when it is let go', async t => {
  const seen: unknown[] = []
  const { child, signal } = await run('say("up"); setInterval(() => {}, 1000)', {}, child => {
    seen.push(child.startTicks, readProcessStat(child.pid ?? 0)?.startTicks)
    child.letGo()
  })
  t.equal(signal, 'SIGKILL')
  t.match(seen, [/^\d+$/, child.startTicks])
  process.kill(child.pid ?? 0, 'SIGKILL')
})

t.test('a grandchild that holds the pipes does not hold the news', async t => {
  const source = `
    const { pid } = require('child_process').spawn('sleep', ['30'], { stdio: 'inherit', detached: true })
    say(pid, () => process.exit(3))`
  const { code, messages } = await run(source)
  t.equal(code, 3)
  process.kill(Number(messages[0]), 'SIGKILL')
})

function watchKill(t: Test): unknown[] {
  const calls: unknown[] = []
  const { kill } = process
  process.kill = (...args): true => {
    calls.push(args)
    return true
  }
  t.teardown(() => {
    process.kill = kill
  })
  return calls
}
