/** The socket of a worker whose application is not loaded: `app/host/link/door.ts`, with real connections and a real `http.Server`. */

import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { keepDoor } from '../../../../app/host/link/door.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

const REQUEST = 'POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nrice'

/** Answers with what it was sent. */
function application(t: Test): Server {
  const server = createServer((request, response) => request.pipe(response))
  t.teardown(() => server.close())
  return server
}

async function open(t: Test) {
  const path = join(scratchFolder(t), 's')
  let knocks = 0
  let knocked = () => {}
  const knock = new Promise<void>(resolve => {
    knocked = resolve
  })
  const door = await keepDoor(path, 0o660, () => {
    knocks += 1
    knocked()
  })
  const dial = () => {
    const socket = connect(path)
    t.teardown(() => socket.destroy())
    return socket
  }
  return { path, door, dial, knock, knocks: () => knocks }
}

async function answer(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  await once(socket, 'end')
  return text
}

t.test('whoever comes before the application, or while it blocks the loop, is answered by it', async t => {
  const { path, door, dial, knock, knocks } = await open(t)
  t.equal(statSync(path).mode & 0o777, 0o660)
  const early = [dial(), dial()]
  for (const socket of early) socket.write(REQUEST)
  await knock
  await Promise.all(early.map(async socket => socket.connecting && once(socket, 'connect')))
  // The kernel has made this connection when `connect` returns; nobody takes it before the application is there.
  const late = dial()
  late.write(REQUEST)
  door.leave()
  t.notOk(existsSync(path), 'the name is free')
  const server = application(t).listen(path)
  door.open(server)
  const own = dial()
  own.write(REQUEST)
  for (const socket of [...early, late, own]) t.match(await answer(socket), /^HTTP\/1\.1 200 OK\r\n[\s\S]*rice/)
  t.equal(knocks(), 1)
})

t.test('the application waits for it when it closes', async t => {
  const { path, door, dial, knock } = await open(t)
  const socket = dial()
  socket.write(REQUEST.slice(0, -1))
  await knock
  door.leave()
  const server = application(t).listen(path)
  const begun = once(server, 'request')
  door.open(server)
  await begun
  let isClosed = false
  const closed = new Promise<void>(resolve =>
    server.close(() => {
      isClosed = true
      resolve()
    }),
  )
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(isClosed)
  socket.write('e')
  t.match(await answer(socket), /\r\nric\r\n1\r\ne\r\n/)
  await closed
})

t.test('one that has left is forgotten', async t => {
  const { path, door, dial, knock } = await open(t)
  const gone = dial()
  await knock
  gone.destroy()
  await once(gone, 'close')
  door.leave()
  door.open(application(t).listen(path))
  const socket = dial()
  socket.write(REQUEST)
  t.match(await answer(socket), /rice/)
})
