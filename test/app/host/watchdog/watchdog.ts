/** A blocked worker, seen from its link: what was answered before leaves, and the request that blocks it is named. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { countInspectorSessions } from '../../../../app/host/watchdog/inspector-sessions.js'
import { startWatchdog } from '../../../../app/host/watchdog/watchdog.js'
import { encodeRequest, FRAME, FrameReader, frame, LINK_VERSION } from '../../../../kit/link/frames.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

const entry = fileURLToPath(new URL('../fixtures/watched-worker.js', import.meta.url))

function requestFrame(id: number, target: string): string {
  return frame(FRAME.request, id, encodeRequest('GET', target, '\nHost\na', 0, '192.0.2.1', 5))
}

t.test('it says when it can be asked, and when it never will', async t => {
  const folder = scratchFolder(t)
  const sessions = countInspectorSessions()
  const troubles: string[] = []
  const path = join(folder, 'asked')
  // The thread keeps no process alive.
  const hold = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(hold))
  await startWatchdog({ path, sessions }, why => troubles.push(why)).listening
  const socket = connect(path)
  await once(socket, 'connect')
  socket.destroy()
  t.same(troubles, [])
  await startWatchdog({ path: join(folder, 'nowhere/asked'), sessions }, why => troubles.push(why)).listening
  t.match(troubles, [/nowhere/])
})

t.test('a loop that is blocked holds no answer back', async t => {
  const cases: [title: string, guilty: string, behind: string, named: boolean][] = [
    ['in the listener', '/burn', '/quick', true],
    ['in what the listener left for later', '/burn-later', '/later', false],
  ]
  for (const [title, guilty, behind, named] of cases) {
    const path = join(scratchFolder(t), 'link')
    const worker = fork(entry, [path])
    t.teardown(() => worker.kill('SIGKILL'))
    await once(worker, 'message')
    const socket = connect(path)
    t.teardown(() => socket.destroy())
    const heard: string[] = []
    const reader = new FrameReader((type, id) => heard.push(`${type} ${id}`))
    socket.write(frame(FRAME.hello, 0, LINK_VERSION) + requestFrame(1, '/quick'), 'latin1')
    const until = async (what: string) => {
      while (!heard.includes(what)) reader.read(((await once(socket, 'data')) as [Buffer])[0])
    }
    await until(`${FRAME.response} 1`)
    socket.write([2, 3, 4, 5].map(id => requestFrame(id, id === 4 ? guilty : behind)).join(''), 'latin1')
    await until(`${FRAME.response} 3`)
    if (named) await until(`${FRAME.stuck} 4`)
    t.ok(heard.includes(`${FRAME.response} 2`), title)
    t.notOk(heard.includes(`${FRAME.response} 5`), `${title}: the one behind it waits`)
    socket.destroy()
  }
})
