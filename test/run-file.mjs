/** Runs one file of the tests as its own process, with a bare `node`: what it starts in turn is started as it is in service. */

import { spawn } from 'node:child_process'

/** Between the request to end and SIGKILL: its teardowns stop what it has started. */
const TEARDOWN_MS = 20_000

/** Whether it passed, and all that it printed. One that is not done after `longestMs`, or when `signal` aborts, is told to end, and has failed. */
export function runFile(program, args, { cwd, env, longestMs, signal: abort }) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], signal: abort })
  let printed = ''
  let isLate = false
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      printed += text
    })
  }
  const timers = [
    setTimeout(() => {
      isLate = true
      child.kill('SIGTERM')
    }, longestMs),
    setTimeout(() => child.kill('SIGKILL'), longestMs + TEARDOWN_MS),
  ]
  child.on('error', error => {
    printed += `\n${error.message}\n`
  })
  return new Promise(resolve => {
    child.on('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer)
      if (isLate) printed += `\nnot done after ${longestMs} ms\n`
      else if (signal !== null) printed += `\nended by ${signal}\n`
      resolve({ passed: code === 0 && !isLate, printed })
    })
  })
}
