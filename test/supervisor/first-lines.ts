/** The first lines of every command (`supervisor/daimyo.ts`): SIGUSR1, whenever it comes, leaves no command with an open inspector. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { WebSocket } from 'ws'
import { INSPECTED_SIGNAL } from '../../kit/process/uninvited-inspector.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))
const MOST_SIGNALS = 60
const LONGEST_MS = 1500

/** A command that goes on until its input ends, and a signal every so often, also before its first line. */
async function signalled(everyMs: number, command: string[]) {
  const [file = '', ...args] = [...command, 'hash-password']
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const [out, err] = [text(child.stdout), text(child.stderr)]
  child.stdin.on('error', () => {})
  let left = Math.min(MOST_SIGNALS, LONGEST_MS / everyMs)
  const timer = setInterval(() => {
    if (left-- > 0) child.kill('SIGUSR1')
    else child.stdin.end('granary\n')
  }, everyMs)
  const [code, signal] = await once(child, 'close')
  clearInterval(timer)
  return { code, signal, out: await out, err: await err }
}

for (const everyMs of [3, 15, 25, 40, 60, 100, 400]) {
  t.test(`a signal every ${everyMs} ms`, async t => {
    const { code, signal, out, err } = await signalled(everyMs, [process.execPath, program])
    const isInspected = /Debugger listening/.test(err)
    if (isInspected) t.match({ signal, err }, { signal: INSPECTED_SIGNAL, err: /ended: SIGUSR1 came before/ })
    else if (signal !== null) t.equal(signal, 'SIGUSR1', 'it came before Node itself could do anything about it')
    else t.match({ code, out }, { code: 0, out: /^scrypt\$/ })
  })
}

t.test('the command as it is installed never opens an inspector, and so need not end', async t => {
  for (const everyMs of [5, 20, 35, 60]) {
    const { code, signal, out, err } = await signalled(everyMs, [program])
    t.notMatch(err, /Debugger listening/)
    if (signal !== null) t.equal(signal, 'SIGUSR1', 'it came before Node itself could do anything about it')
    else t.match({ code, out }, { code: 0, out: /^scrypt\$/ })
  }
})

t.test('an inspector that somebody is connected to does not keep a command', async t => {
  const folder = scratchFolder(t)
  const slow = join(folder, 'slow.cjs')
  // The signal opens the inspector while this runs, and there is time to connect.
  writeFileSync(slow, "process.kill(process.pid, 'SIGUSR1'); for (const end = Date.now() + 1000; Date.now() < end; ) ;")
  const args = ['--inspect-port=0', '--require', slow, program, 'hash-password']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let err = ''
  const connected = new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', text => {
      const before = err
      err += text
      const url = /Debugger listening on (ws:\S+)\n/.exec(err)?.[1]
      if (url === undefined || /Debugger listening on \S+\n/.test(before)) return
      new WebSocket(url).on('open', resolve).on('error', reject)
    })
  })
  await connected
  const [, signal] = await once(child, 'close')
  t.match({ signal, err }, { signal: INSPECTED_SIGNAL, err: /ended: SIGUSR1 came before/ })
})
