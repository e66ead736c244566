/**
 * A control socket with prepared answers, and a command context that keeps what was printed: what the command tests talk to.
 */

import { createServer } from 'node:net'
import type { CommandContext } from '../../supervisor/command-context.js'
import type { ControlAnswer, ControlRequest, StatusReport } from '../../supervisor/control-protocol.js'

/** A report with everything in it, for a master whose pid is ours. */
export const report: StatusReport = {
  version: '0.1.0',
  pid: process.pid,
  generation: 1,
  sinceMs: Date.now(),
  iniPath: null,
  urls: ['http://127.0.0.1:8080'],
  metricsUrl: null,
  wanted: 0,
  stopping: false,
  reloading: false,
  workers: [],
  proxies: [],
}

/** Answers `status` with `status`, everything else as `answers` says; resolves when it listens. */
export async function fakeMaster(
  t: { teardown(work: () => unknown): unknown },
  path: string,
  status: StatusReport,
  answers: (request: ControlRequest, send: (answer: ControlAnswer) => void) => void = () => {},
): Promise<void> {
  const server = createServer(socket => {
    const send = (answer: ControlAnswer) => socket.write(`${JSON.stringify(answer)}\n`)
    socket.on('error', () => socket.destroy())
    socket.setEncoding('utf8').on('data', (line: string) => {
      const request = JSON.parse(line) as ControlRequest
      if (request.command === 'status') send({ type: 'done', ok: true, status })
      else answers(request, send)
    })
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
}

/** A context whose output is kept in `out` and `err`. */
export function keptContext(
  cwd: string,
  environment: NodeJS.ProcessEnv = {},
): CommandContext & { out: string; err: string } {
  const kept = {
    cwd,
    environment,
    program: 'daimyo',
    out: '',
    err: '',
    print: (text: string) => {
      kept.out += text
    },
    complain: (text: string) => {
      kept.err += text
    },
  }
  return kept
}
