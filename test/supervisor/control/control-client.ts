/** Tests `supervisor/control/control-client.ts` against servers that answer well, badly, slowly and not at all. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { type AskOptions, askMaster, askStatus, findMaster } from '../../../supervisor/control/control-client.js'
import type { ControlRequest } from '../../../supervisor/control/control-protocol.js'
import { withHeldSocket } from '../../../supervisor/control/held-socket.js'
import { report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

/** A server that hands each connection to `serve`; the test's end closes it. */
async function serve(t: { teardown(work: () => unknown): unknown }, work: (socket: Socket) => void): Promise<string> {
  const path = join(scratchFolder(t), 'control.sock')
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => socket.destroy()))
    work(socket)
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  return path
}

const askAt = (path: string, request: ControlRequest, options?: AskOptions) =>
  withHeldSocket(path, [], held => askMaster(held, request, options))

const statusAt = (path: string) => withHeldSocket(path, [], held => askStatus(held))

const answer = (...values: object[]) => values.map(value => `${JSON.stringify(value)}\n`).join('')

t.test('one request, progress, and the last answer', async t => {
  let request = ''
  const path = await serve(t, socket => {
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      request += chunk
      const bytes = Buffer.from(answer({ type: 'progress', text: 'ein Wörker' }, { type: 'done', ok: true }))
      // Cut in the middle of a line and of a character.
      socket.write(bytes.subarray(0, 30))
      setImmediate(() => socket.write(bytes.subarray(30)))
    })
  })
  const progress: string[] = []
  const done = await askAt(path, { command: 'reload' }, { onProgress: text => progress.push(text) })
  t.same(done, { type: 'done', ok: true })
  t.same(progress, ['ein Wörker'])
  t.equal(request, '{"command":"reload"}\n')
})

t.test('a failure is an answer too', async t => {
  const failed = { type: 'done', ok: false, reason: 'load failed', lines: ['Error: no'] }
  const path = await serve(t, socket => socket.resume().end(answer(failed)))
  t.same(await askAt(path, { command: 'reload' }), failed)
  await t.rejects(statusAt(path), { code: 'no-answer', message: /load failed/ })
})

t.test('the status and the pid', async t => {
  const path = await serve(t, socket =>
    socket.resume().end(answer({ type: 'done', ok: true, status: { ...report, pid: 4711 } })),
  )
  t.match(await statusAt(path), { pid: 4711 })
  t.equal(await findMaster(path), 4711)
})

const wrongAnswers: [string, (socket: Socket) => void, RegExp][] = [
  ['another protocol', socket => socket.resume().end('220 mail ready\r\n'), /not a daimyo/],
  ['JSON of somebody else', socket => socket.resume().end('{"hello":1}\n'), /not a daimyo/],
  ['null', socket => socket.resume().end('null\n'), /not a daimyo/],
  ['closed at once', socket => socket.destroy(), /closed the connection|ECONNRESET|EPIPE/],
  ['closed in the middle', socket => socket.resume().end('{"type":"do'), /closed the connection/],
  ['silent', socket => socket.resume(), /silent for 100 ms/],
  [
    'an endless line',
    socket => {
      const write = () => {
        while (!socket.destroyed && socket.write('x'.repeat(65536)));
      }
      socket.resume().on('drain', write)
      write()
    },
    /endless answer/,
  ],
]
for (const [title, work, message] of wrongAnswers) {
  t.test(`no answer: ${title}`, async t => {
    const path = await serve(t, work)
    const silenceMs = title === 'silent' ? 100 : 10_000
    const asked = askAt(path, { command: 'status' }, { silenceMs })
    await t.rejects(asked, { code: 'no-answer', exitCode: EXIT.unavailable, message })
  })
}

const progress = answer({ type: 'progress', text: 'soon' })
/** Each piece begins a new wait where bytes, or lines, are taken for an answer. */
const talkers: [string, string, object][] = [
  ['a byte now and then, of no line', '{', { silenceMs: 100 }],
  ['a byte now and then, within a time for all', '{', { silenceMs: 10_000, withinMs: 100 }],
  ['progress without end', progress, { silenceMs: 10_000, withinMs: 100 }],
]
for (const [title, piece, options] of talkers) {
  t.test(`a deadline holds: ${title}`, async t => {
    const path = await serve(t, socket => {
      const timer = setInterval(() => socket.write(piece), 10)
      socket.resume().on('close', () => clearInterval(timer))
    })
    const asked = askAt(path, { command: 'status' }, options)
    await t.rejects(asked, { code: 'no-answer', message: /silent for 100 ms|not done within 100 ms/ })
  })
}

const done = answer({ type: 'done', ok: true })
for (const [title, pieces, options] of [
  ['before the silence was too long', [done], { silenceMs: 400 }],
  ['within the time for all', [done], { withinMs: 400 }],
  ['that only says that there is progress', [progress, done], { silenceMs: 400 }],
] as const) {
  t.test(`an answer counts that came while nobody could look: ${title}`, async t => {
    const path = await serve(t, socket => {
      const rest = [...pieces]
      const say = () => {
        socket.write(rest.shift() ?? '')
        for (const fromMs = performance.now(); performance.now() - fromMs < 500; );
        if (rest.length > 0) setImmediate(() => setImmediate(say))
      }
      socket.once('data', say)
    })
    t.match(await askAt(path, { command: 'status' }, options), { ok: true })
  })
}

t.test('a flood of progress has a bound, however long the question may take', async t => {
  const path = await serve(t, socket => {
    const write = () => {
      while (!socket.destroyed && socket.write(progress.repeat(1000)));
    }
    socket.resume().on('drain', write)
    write()
  })
  await t.rejects(askAt(path, { command: 'reload' }), { code: 'no-answer', message: /endless answer/ })
})

t.test('not running: no socket, a dead one, no folder', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'file'), '')
  mkdirSync(join(folder, 'empty'))
  for (const name of ['empty/control.sock', 'none/control.sock', 'file/control.sock', 'file']) {
    const path = join(folder, name)
    await t.rejects(statusAt(path), {
      code: 'not-running',
      exitCode: EXIT.unavailable,
      message: `not running: no daimyo answers on ${path}`,
    })
    t.equal(await findMaster(path), null)
  }
})
