/** The first lines of every command (`supervisor/daimyo.ts`): SIGUSR1, whenever it comes, leaves no command with an open inspector. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../kit/failure.js'

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))
const MOST_SIGNALS = 60
const LONGEST_MS = 3000

/** A command that goes on until its input ends, and a signal every so often, also before its first line. */
async function signalled(everyMs: number) {
  const child = spawn(process.execPath, [program, 'hash-password'], { stdio: ['pipe', 'pipe', 'pipe'] })
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

for (const everyMs of [3, 7, 15, 25, 40, 60, 80, 100, 150, 400, 1000]) {
  t.test(`a signal every ${everyMs} ms`, async t => {
    const { code, signal, out, err } = await signalled(everyMs)
    const isInspected = /Debugger listening/.test(err)
    if (signal !== null) t.equal(signal, 'SIGUSR1', 'it came before Node itself could do anything about it')
    else if (isInspected) t.match({ code, err }, { code: EXIT.software, err: /ended: SIGUSR1 came before/ })
    else t.match({ code, out }, { code: 0, out: /^scrypt\$/ })
  })
}
