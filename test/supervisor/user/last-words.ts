/** What a dead child still has in its pipes: `supervisor/user/last-words.ts`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { lastWordsOf } from '../../../supervisor/user/last-words.js'

function start(script: string) {
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.on('data', bytes => {
    text += bytes
  })
  const stdout = child.stdout as unknown as Duplex
  return { child, stdout, printed: () => text, awaitLastWords: lastWordsOf([stdout]) }
}

/** The loop does not turn for so long. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

t.test('what can be read after a stall is read before the time is over', async t => {
  const { child, stdout, printed, awaitLastWords } = start('echo one; (sleep 0.3; printf thr) &')
  await once(child, 'exit')
  const done = new Promise<void>(resolve => awaitLastWords(resolve))
  stall(600)
  await done
  t.equal(printed(), 'one\nthr')
  t.ok(stdout.closed, 'and those who listen to its end come first')
})

t.test('a grandchild that holds the pipe is not waited for', async t => {
  const { child, stdout, printed, awaitLastWords } = start('sleep 30 & echo $!')
  await once(child, 'exit')
  await new Promise<void>(resolve => awaitLastWords(resolve))
  t.ok(stdout.closed)
  process.kill(Number(printed()), 'SIGKILL')
})
