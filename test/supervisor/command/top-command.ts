/** Tests `supervisor/command/top-command.ts`: a played terminal, before, during and after. */

import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Terminal, topCommand } from '../../../supervisor/command/top-command.js'
import type { ControlAnswer } from '../../../supervisor/control/control-protocol.js'
import { fakeMaster, keptContext, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { topReport } from '../fixtures/top-report.js'

const well: ControlAnswer = { type: 'done', ok: true, top: topReport() }

async function start(t: Test, answer: ControlAnswer, more: { isTTY?: boolean; TERM?: string } = {}) {
  const runDir = scratchFolder(t)
  await fakeMaster(t, join(runDir, 'control.sock'), report, (_request, send) => send(answer))
  const modes: boolean[] = []
  const written: string[] = []
  const events = new EventEmitter()
  const isTTY = more.isTTY ?? true
  const input = Object.assign(new EventEmitter(), {
    isTTY,
    setRawMode: (raw: boolean) => modes.push(raw),
    resume: () => input,
    pause: () => input,
  })
  const output = Object.assign(new EventEmitter(), {
    isTTY,
    columns: 80,
    rows: 24,
    write: (text: string) => {
      written.push(text)
      events.emit('written')
      return true
    },
  })
  const context = keptContext(runDir, { TERM: more.TERM ?? 'xterm' })
  const done = topCommand({ runDir, iniPath: null, iniSection: '' }, context, { input, output } as unknown as Terminal)
  /** Resolves when it was written. */
  const seen = (pattern: RegExp) =>
    new Promise<void>(resolve => {
      const look = () => pattern.test(written.join('')) && resolve()
      events.on('written', look)
      look()
    })
  return { done, modes, written, context, input, output, seen }
}

const ends: [title: string, end: (input: EventEmitter) => void][] = [
  ['q', input => input.emit('data', Buffer.from('q'))],
  ['Ctrl-C', input => input.emit('data', Buffer.from('\x03'))],
  ['the end of the input', input => input.emit('end')],
]
for (const [title, end] of ends) {
  t.test(`${title} ends it and leaves the terminal as it was`, async t => {
    const listening = process.listenerCount('SIGTERM')
    const { done, modes, written, input, output, seen } = await start(t, well)
    await seen(/LAST EVENTS/)
    end(input)
    t.equal(await done, 0)
    t.same(modes, [true, false])
    t.match(written[0], '\x1b[?1049h')
    t.match(written.at(-1), /\x1b\[\?25h\x1b\[\?1049l$/)
    t.same([...input.eventNames(), ...output.eventNames()], [])
    t.equal(process.listenerCount('SIGTERM'), listening, 'its signals are let go')
  })
}

t.test('another size is drawn at once, other keys do nothing', async t => {
  const { done, input, output, written, seen } = await start(t, well)
  await seen(/LAST EVENTS/)
  input.emit('data', Buffer.from('x'))
  Object.assign(output, { columns: 10, rows: 2 })
  output.emit('resize')
  t.equal(written.at(-1), '\x1b[Hdaimyo 0.1\x1b[K\r\n- requests\x1b[K\x1b[J')
  input.emit('data', Buffer.from('q'))
  t.equal(await done, 0)
})

t.test('a master that refuses ends it, and the terminal is as it was', async t => {
  const { done, modes, written } = await start(t, { type: 'done', ok: false, reason: 'no', lines: [] })
  await t.rejects(done, { code: 'no-answer', exitCode: 69 })
  t.same(modes, [true, false])
  t.match(written.at(-1), /\x1b\[\?1049l$/)
})

const plain: [string, { isTTY?: boolean; TERM?: string }][] = [
  ['a pipe', { isTTY: false }],
  ['a dumb terminal', { TERM: 'dumb' }],
]
for (const [title, more] of plain) {
  t.test(`${title} gets one picture`, async t => {
    const { done, modes, written, context } = await start(t, well, more)
    t.equal(await done, 0)
    t.match(context.out, /^daimyo 0\.1\.0: [\s\S]*last event\n$/)
    t.same([modes, written], [[], []])
  })
}
