/** The server side of the control socket: `supervisor/control/control-socket.ts`. */

import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { ControlRequest } from '../../../supervisor/control/control-protocol.js'
import { type ControlHandler, startControlSocket } from '../../../supervisor/control/control-socket.js'

const folder = mkdtempSync(join(tmpdir(), 'daimyo-control-'))
t.teardown(() => rmSync(folder, { recursive: true }))
let sockets = 0

async function listen(t: Test, handle: ControlHandler): Promise<string> {
  const path = join(folder, `${++sockets}.sock`)
  const control = await startControlSocket(path, handle)
  t.teardown(() => control.close())
  return path
}

function connect(path: string): Socket {
  return createConnection({ path }).on('error', () => {})
}

/** Everything that is answered to `request`, which is sent as it is. */
async function ask(path: string, request: string): Promise<string[]> {
  const socket = connect(path)
  socket.write(request)
  return (await text(socket)).trimEnd().split('\n')
}

const well: ControlHandler = async (request, progress) => {
  progress(`asked for ${request.command}`)
  return { type: 'done', ok: true }
}

t.test('answers progress and the end, then closes', async t => {
  const path = await listen(t, well)
  t.same(
    (await ask(path, '{"command":"reload"}\n')).map(line => JSON.parse(line)),
    [
      { type: 'progress', text: 'asked for reload' },
      { type: 'done', ok: true },
    ],
  )
})

t.test('a request may come in pieces', async t => {
  const path = await listen(t, well)
  const socket = connect(path)
  socket.write('{"command":')
  await once(socket, 'connect')
  socket.write('"status"}\n')
  t.match(await text(socket), /asked for status/)
})

t.test('it is for its owner alone, from the first moment, and gone after the close', async t => {
  const before = process.umask()
  const path = join(folder, 'mode.sock')
  const control = await startControlSocket(path, well)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(process.umask(), before)
  await control.close()
  t.notOk(existsSync(path))
})

const refused: [string, string][] = [
  ['no JSON', 'status\n'],
  ['not an object', '"status"\n'],
  ['null', 'null\n'],
  ['no command', '{}\n'],
  ['an unknown command', '{"command":"explode"}\n'],
  ['a command that is no text', '{"command":["status"]}\n'],
  ['an endless line', `{"command":"${'x'.repeat(5000)}`],
  ['an endless line with an end', `{"command":"status","x":"${'x'.repeat(5000)}"}\n`],
]
t.test('what is no request is refused, and nothing is done', async t => {
  const asked: ControlRequest[] = []
  const path = await listen(t, async request => {
    asked.push(request)
    return { type: 'done', ok: true }
  })
  for (const [title, request] of refused) {
    t.match(JSON.parse((await ask(path, request)).at(-1)!), { type: 'done', ok: false, reason: /not a request/ }, title)
  }
  t.same(asked, [])
})

t.test('what the handler throws is answered', async t => {
  const path = await listen(t, async () => {
    throw new Error('broken')
  })
  t.match(JSON.parse((await ask(path, '{"command":"stop"}\n'))[0]!), { ok: false, reason: 'broken', lines: [] })
})

t.test('a client that hangs up neither stops what it asked for nor the others', async t => {
  let finish = () => {}
  const asked = new Promise<void>(resolve => {
    finish = resolve
  })
  let progressed = (_: string) => {}
  const path = await listen(t, async (request, progress) => {
    if (request.command === 'status') return { type: 'done', ok: true }
    progressed = progress
    finish()
    await gone
    progress('nobody hears this')
    return { type: 'done', ok: true }
  })
  const client = connect(path)
  const gone = once(client, 'close')
  client.write('{"command":"reload"}\n')
  await asked
  client.destroy()
  await gone
  progressed('nor this')
  t.match(await ask(path, '{"command":"status"}\n'), ['{"type":"done","ok":true}'])
})

t.test('there are only so many at a time', async t => {
  const path = await listen(t, well)
  const silent = Array.from({ length: 16 }, () => connect(path))
  await Promise.all(silent.map(socket => once(socket, 'connect')))
  const late = connect(path)
  await once(late, 'close')
  const closed = once(silent[0]!, 'close')
  silent[0]!.destroy()
  await closed
  t.match(await ask(path, '{"command":"status"}\n'), [/asked for status/, /done/])
  for (const socket of silent) socket.destroy()
})

t.test('the close does not wait for those who say nothing', async t => {
  const control = await startControlSocket(join(folder, 'close.sock'), well)
  const silent = connect(join(folder, 'close.sock'))
  await once(silent, 'connect')
  const hungUp = once(silent, 'close')
  await control.close()
  await hungUp
  t.pass()
})

t.test('what stands in its place is not removed', async t => {
  const path = await listen(t, well)
  await t.rejects(startControlSocket(path, well), { code: 'address-in-use' })
  const file = join(folder, 'file')
  writeFileSync(file, '')
  await t.rejects(startControlSocket(file, well), { code: 'not-a-socket' })
  await t.rejects(startControlSocket(join(folder, 'no', 'x.sock'), well), { code: 'socket-path' })
})
