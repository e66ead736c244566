/**
 * What an application writes on the descriptors that its worker has from the master costs that worker alone: the master lives on, with the memory and the
 * descriptors that it had, nobody is misled, and the other worker answers all the time.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ask as askWorker } from '../app/fixtures/program.js'
import { ask } from './fixtures/asking.js'
import { type Serving, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** Slot 2 attacks as it is told at `/attack/NAME`; slot 1 answers with its pid. */
const app = `
const fs = require('node:fs')
const { spawn } = require('node:child_process')
const frame = value => {
  const text = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(text.length)
  return Buffer.concat([head, text])
}
/** As an accident would, without asking whether there is room. */
const write = bytes => {
  for (let at = 0; at < bytes.length; ) {
    try { at += fs.writeSync(4, bytes, at) } catch (error) {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return false
      if (error.code !== 'EAGAIN') throw error
    }
  }
  return true
}
const event = (event, fields = {}) => write(frame({ type: 'event', event, fields }))
/** A child that has one of our descriptors as its own IPC channel, as a careless spawn makes one, and sends sockets through it. */
const sendDescriptors = fd => {
  const source = \`
    const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
      let left = 200
      const next = () => left-- > 0 ? process.send({}, server, next) : process.exit()
      next()
      setTimeout(() => process.exit(), 2000)
    })\`
  const env = { ...process.env, NODE_CHANNEL_FD: '3' }
  spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'ignore', 'ignore', fd], env })
}
const attacks = {
  garbage: () => write(Buffer.from('garbage\\n')),
  'node-handle': () => write(Buffer.from('{"cmd":"NODE_HANDLE_ACK"}\\n')),
  'no-newline': () => { for (let left = 700; left > 0 && write(Buffer.alloc(1 << 20, 'x')); left--); },
  'framed-no-newline': () => { for (let left = 100; left > 0 && write(frame('"' + 'x'.repeat(2e6) + '"')); left--); },
  objects: () => write(frame({ type: 'failed', reason: { a: 1 }, stack: [] })),
  'half-a-message': () => write(frame({ type: 'ready', bootMs: 1 }).subarray(0, 9)) && write(frame({ type: 'load-wanted' })),
  'deep': () => write(frame('['.repeat(2e6))),
  'unknown-field': () => write(frame('{"type":"metrics","families":[{"name":"q","x":' + '['.repeat(19e5) + ']'.repeat(19e5) + '}]}')),
  'many-keys': () => write(frame({ type: 'metrics', families: [{ name: 'z', help: 'h', type: 'gauge', values:
    [{ labels: Object.fromEntries(Array.from({ length: 180000 }, (_, at) => [at * 7919, ''])), value: 1 }] }] })),
  'many-labels': () => write(frame({ type: 'metrics', families: Array.from({ length: 40 }, (_, at) => ({ name: 'y' + at, help: 'h', type: 'gauge',
    values: Array(100).fill({ labels: Object.fromEntries(Array.from({ length: 63 }, (_, at) => ['l' + at, ''])), value: 1 }) })) })),
  'prototype': () => write(frame('{"type":"__proto__","__proto__":{"type":"ready"}}')),
  'master-stopping': () => event('master-stopping'),
  'reload-start': () => event('reload-start'),
  'stood-still': () => event('stood-still', { stillMs: 1e12 }),
  'another-slot': () => event('metrics-trouble', { why: 'x', slot: 1, pid: 1 }),
  'a-proxy': () => write(frame({ type: 'worker-blocked', workerId: 1, request: 'GET /', elapsedMs: 1, at: '', stack: '', inFlight: 1, others: '' })),
  'what-it-reads': () => {
    try { for (;;) fs.writeSync(3, Buffer.alloc(1 << 20)) } catch (error) { if (error.code !== 'EAGAIN') throw error }
  },
  closed: () => fs.closeSync(4),
  'descriptors-on-3': () => sendDescriptors(3),
  'descriptors-on-4': () => sendDescriptors(4),
  'descriptors-on-output': () => sendDescriptors(1),
  'both-closed': () => { fs.closeSync(3); fs.closeSync(4) },
  ready: () => { for (let left = 50; left > 0; left--) write(frame({ type: 'ready', bootMs: 1 })) },
  families: () => {
    for (const families of [[{ name: 'b' }], [{ name: 'c', values: 7 }], [{ name: 'a', type: 'gauge', values: [null, { labels: 7 }] }]])
      write(frame({ type: 'metrics', families }))
  },
  'no-families': () => {
    for (const families of [[null], [7], ['x'], [[]], [{}], [{ name: {}, values: 7 }], Array(4000).fill(0)])
      write(frame({ type: 'metrics', families }))
  },
  ...Object.fromEntries([1, 2, 3].map(at => ['tell-and-die-' + at, () => {
    for (let left = 60; left > 0; left--) event('autopsy-written', { path: '/tmp/x', bytes: 1, tookMs: 2 })
    // The master has not read them yet, but the kernel has them.
    process.kill(process.pid, 'SIGKILL')
  }])),
  events: () => { for (let left = 800; left > 0; left--) event('metrics-trouble', { why: 'x'.repeat(3000) }) },
}
const slot = Number(process.env.DAIMYO_SLOT)
require('node:http').createServer((request, response) => {
  const name = request.url.slice(1)
  if (slot === 2 && name in attacks) attacks[name]()
  response.end(JSON.stringify({ slot, pid: process.pid, names: Object.keys(attacks) }))
}).listen(3000)`

/** After these the worker is replaced; the others cost nobody anything. */
const BROKEN = new Set([
  'garbage',
  'node-handle',
  'no-newline',
  'framed-no-newline',
  'objects',
  'half-a-message',
  'deep',
  'unknown-field',
  'many-keys',
  'many-labels',
  'prototype',
  'master-stopping',
  'reload-start',
  'stood-still',
  'another-slot',
  'a-proxy',
  'closed',
  'descriptors-on-4',
  'both-closed',
  'no-families',
  'tell-and-die-1',
  'tell-and-die-2',
  'tell-and-die-3',
])

const site = new WatchedSite(t, ['processes = 2', 'harakiri = 20'], {
  app,
  expected: [/worker-broke-channel|metrics-refused|metrics-trouble|signal=|code=\d/, / 50\d /],
})
const running = await site.serve()

interface Answer {
  slot: number
  pid: number
  names: string[]
}

/** Through the front, at whichever worker is free. */
async function answer(): Promise<Answer> {
  return JSON.parse((await ask(running.url, '/')).body) as Answer
}

/** By its own socket, so that the answer is of this worker. */
async function attack(name: string): Promise<void> {
  const [, second] = (await site.untilReady()).workers
  await askWorker({ socketPath: second?.socketPath ?? '', path: `/${name}` }).catch(() => {})
}

const memoryOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
/** Without what the master keeps open for some seconds of processes whose memory it has read. */
const descriptorsOf = (pid: number) =>
  readdirSync(`/proc/${pid}/fd`).filter(name => !/^\/proc\/\d+\/stat$/.test(targetOf(`/proc/${pid}/fd/${name}`))).length
const targetOf = (path: string) => {
  try {
    return readlinkSync(path)
  } catch {
    // ENOENT: closed meanwhile.
    return ''
  }
}

/** Asks until it is told to stop; every answer must be there. */
function askSteadily(): { stop(): Promise<{ asked: number; failed: string[] }> } {
  let isOver = false
  const failed: string[] = []
  let asked = 0
  const loop = async () => {
    while (!isOver) {
      asked += 1
      await answer().catch(error => failed.push(String(error)))
    }
  }
  const done = Promise.all([loop(), loop()])
  return {
    stop: async () => {
      isOver = true
      await done
      return { asked, failed }
    },
  }
}

const { names } = await answer()
const descriptors = descriptorsOf(running.pid)
/** Pipes of the next two children. */
const READY_PIPES = 16
let tellersSinceMs = 0
for (const name of names) {
  t.test(`an application that writes: ${name}`, async t => {
    if (name === 'tell-and-die-1') tellersSinceMs = performance.now()
    const before = await site.untilReady()
    const [first, second] = before.workers
    const memory = memoryOf(running.pid)
    const clients = askSteadily()
    await attack(name)
    if (BROKEN.has(name))
      await until('it is replaced', async () => (await site.status()).workers[1]?.pid !== second?.pid)
    const after = await site.untilReady()
    const { asked, failed } = await clients.stop()
    t.same(failed, [], `${asked} answers`)
    t.equal(after.pid, before.pid, 'the same master')
    t.equal(after.workers[0]?.pid, first?.pid, 'the other worker lives on')
    t.equal(after.generation, before.generation)
    if (!BROKEN.has(name)) t.equal(after.workers[1]?.pid, second?.pid, 'so does this one')
    t.ok(memoryOf(running.pid) < memory + 40, `${memory} MB before, ${memoryOf(running.pid)} MB after`)
    await until(
      `${descriptors} descriptors as before`,
      () => descriptorsOf(running.pid) <= descriptors + READY_PIPES + 2,
    )
  })
}

t.test('nobody was misled', async t => {
  const text = running.out()
  const seconds = (performance.now() - tellersSinceMs) / 1000
  const told = text.split(' autopsy-written ').length - 1
  t.ok(
    told > 0 && told <= 21 + seconds,
    `a worker that comes back has what its slot had left: ${told} events in ${seconds} s`,
  )
  t.notMatch(text, / (master-stopping|reload-start|worker-harakiri) |stillMs=1000000000000/)
  t.notMatch(text, /pid=1 /)
  t.match(text, / worker-broke-channel slot=2 pid=\d+ .*why="a message of another kind"/)
  t.match(text, / worker-talks-too-much slot=2 /)
  t.ok(text.split(' metrics-trouble ').length < 50, 'and does not fill the log')
  t.equal(text.match(/ worker-broke-channel slot=1 /), null)
  await ends(t, running)
})

async function ends(t: Test, running: Serving): Promise<void> {
  t.match(await site.end(running), { code: 0 })
}
