/** What comes before every other line of a child: `kit/child-prelude.cts`, and the inspector that it cannot keep from opening. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { MASTERS_SIGNALS } from '../../kit/process/masters-signals.js'
import { FIRST_ARGUMENTS } from '../../supervisor/child/child-programs.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'

const uninvited = new URL('../../kit/process/uninvited-inspector.js', import.meta.url).href

/** Runs a program behind the prelude, with an IPC channel. */
function start(t: Test, source: string, nodeArgs: string[] = [], env: Record<string, string> = {}): ChildProcess {
  const entry = join(scratchFolder(t), 'entry.cjs')
  writeFileSync(entry, source)
  const child = spawn(process.execPath, [...FIRST_ARGUMENTS, ...nodeArgs, entry, 'a name'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

const message = async (child: ChildProcess) => (await once(child, 'message'))[0]

for (const signal of MASTERS_SIGNALS) {
  t.test(`${signal} does nothing, unless somebody listens for it`, async t => {
    const child = start(
      t,
      `process.on('message', word => {
         if (word === 'listen') process.once('${signal}', () => process.send('heard'))
         process.send([process.listenerCount('${signal}'), require('inspector').url()])
       })
       process.send('up')`,
    )
    t.equal(await message(child), 'up')
    child.kill(signal)
    child.send('look')
    t.same(await message(child), [0, null])
    child.send('listen')
    t.same(await message(child), [1, null])
    child.kill(signal)
    t.equal(await message(child), 'heard')
    child.kill(signal)
    child.send('look')
    t.same(await message(child), [0, null], 'nor when its last listener has gone')
  })
}

const own: [title: string, call: string, signal: string][] = [
  ['by its name', `process.kill(process.pid, 'SIGTERM')`, 'SIGTERM'],
  ['by its number', 'process.kill(process.pid, 1)', 'SIGHUP'],
  ['without one', 'process.kill(process.pid)', 'SIGTERM'],
  [
    'after its listener has gone',
    `process.once('SIGUSR2', () => process.kill(process.pid, 'SIGUSR2')).emit('SIGUSR2')`,
    'SIGUSR2',
  ],
]
for (const [title, call, signal] of own) {
  t.test(`what it sends to itself ${title} means the default`, async t => {
    const child = start(t, `${call}\nsetInterval(() => {}, 1000)`)
    t.same(await once(child, 'exit'), [null, signal])
  })
}

t.test('SIGUSR1 to itself opens nothing either', async t => {
  const child = start(
    t,
    `process.kill(process.pid, 'SIGUSR1'); setImmediate(() => process.send({ url: require('inspector').url() }))`,
  )
  t.same(await message(child), {})
})

t.test('it is seen nowhere, and inherited by nobody', async t => {
  const child = start(
    t,
    `const { fork } = require('child_process')
     const { Worker } = require('worker_threads')
     const seen = 'const seen = [process.execArgv, process.argv.length]'
     const look = () => [process.execArgv, process.argv.length, process.title, Object.keys(require.cache).length]
     new Worker(seen + '; require("worker_threads").parentPort.postMessage(seen)', { eval: true }).once('message', inThread => {
       require('fs').writeFileSync(__dirname + '/forked.cjs', seen + '; process.send(seen)')
       fork(__dirname + '/forked.cjs').once('message', inFork => process.send({ inThread, inFork, own: look() }))
     })`,
    ['--no-warnings', '--pending-deprecation'],
  )
  const given = ['--no-warnings', '--pending-deprecation']
  t.match(await message(child), { inThread: [given, 2], inFork: [given, 2], own: [given, 2, 'a name', 1] })
})

t.test('it says nothing', async t => {
  const child = start(t, '', ['--pending-deprecation', '--trace-warnings'])
  child.disconnect()
  t.same(await Promise.all([text(child.stdout!), text(child.stderr!)]), ['', ''])
})

const hangs = (how: string) =>
  `data:text/javascript,${encodeURIComponent(`
  setInterval(() => {}, 1e6)
  console.log('waits')
  ${how}`)}`
const forEver = hangs('await new Promise(() => {})')
const hooks = hangs(
  `import('node:module').then(({ register }) => register('data:text/javascript,export const resolve = () => new Promise(() => {})'))
  await new Promise(resolve => setImmediate(resolve))`,
)
const endless = `console.log('waits'); for (;;);`
const computes = `data:text/javascript,${encodeURIComponent(endless)}`
const orphans: [title: string, nodeArgs: string[], env: Record<string, string>][] = [
  ['an import', ['--import', forEver], {}],
  ['an import of NODE_OPTIONS', [], { NODE_OPTIONS: `--import=${forEver}` }],
  ['an import that computes', ['--import', computes], {}],
  ['an import of NODE_OPTIONS that computes', [], { NODE_OPTIONS: `--import=${computes}` }],
  ['a require that computes', ['--require', 'COMPUTES'], {}],
  ['module hooks that never answer', ['--import', hooks], {}],
]
for (const [title, nodeArgs, env] of orphans) {
  t.test(`a child that waits for ever in ${title} ends with its parent, and what it has started too`, async t => {
    const entry = join(scratchFolder(t), 'entry.mjs')
    writeFileSync(entry, 'setInterval(() => {}, 1e6)\nconsole.log("loaded")\nawait new Promise(() => {})')
    const starts = join(scratchFolder(t), 'starts.cjs')
    writeFileSync(starts, `require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' })`)
    const required = join(scratchFolder(t), 'computes.cjs')
    writeFileSync(required, endless)
    const given = nodeArgs.map(word => (word === 'COMPUTES' ? required : word))
    const args = [...FIRST_ARGUMENTS, '--require', starts, ...given, entry, 'a name']
    const options = { detached: true, env, stdio: ['ignore', 1, 'ignore', 'ignore', 'ignore'] }
    const source = `require('node:child_process').spawn(process.execPath, ${JSON.stringify(args)}, ${JSON.stringify(options)})`
    const parent = spawn(process.execPath, ['-e', source], { env: process.env, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(parent.stdout, 'data')
    parent.kill('SIGKILL')
    // Whoever has the other side of the pipe is gone.
    await once(parent.stdout, 'close')
  })
}

t.test('whose channel is open sees the end of the master by that', async t => {
  const channel = new URL('../../kit/channel/channel.js', import.meta.url).href
  const child = start(
    t,
    `const look = () => Object.getOwnPropertySymbols(process).filter(symbol => /orphan/.test(String(symbol))).length
     const before = look()
     import('${channel}').then(({ openChannelEnds }) => {
       try { openChannelEnds() } catch {}
       process.send([before, look()])
     })`,
  )
  t.same(await message(child), [1, 1], 'it goes on where there is no channel')
  const opened = spawn(
    process.execPath,
    [
      ...FIRST_ARGUMENTS,
      '-e',
      `import('${channel}').then(({ openChannelEnds }) => {
      openChannelEnds()
      console.log(Object.getOwnPropertySymbols(process).filter(symbol => /orphan/.test(String(symbol))).length)
      process.exit()
    })`,
      'a name',
    ],
    { stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'pipe'] },
  )
  t.equal(await text(opened.stdio[1]!), '0\n')
})

/** Opened as the signal does it, in the moment before the prelude. */
const opened = `require('inspector').open(0)
import('${uninvited}').then(({ hasUninvitedInspector }) => hasUninvitedInspector()).then(isUninvited => {
  process.send({ isUninvited })
})`

t.test('an inspector that a signal has opened is found', async t => {
  t.same(await message(start(t, opened)), { isUninvited: true })
})

const asked: [title: string, nodeArgs: string[], env: Record<string, string>][] = [
  ['an argument', ['--inspect=127.0.0.1:0'], {}],
  ['NODE_OPTIONS', [], { NODE_OPTIONS: '--inspect=127.0.0.1:0' }],
]
for (const [title, nodeArgs, env] of asked) {
  t.test(`an inspector that ${title} asks for stays`, async t => {
    const source = opened.replace(/^.*\n/, '')
    t.same(await message(start(t, source, nodeArgs, env)), { isUninvited: false })
  })
}
