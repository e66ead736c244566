/**
 * Single requests and free ports: how the bench waits until a server answers and checks what it is about to measure.
 * `stacks/stack.ts` and `measure.ts` call it.
 */

import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure, reasonOf } from '../kit/ground/failure.js'

/** What to ask, and the unix socket to ask it on, if any. */
export interface Question {
  url: string
  socketPath?: string
  method?: string
  headers?: Record<string, string>
  body?: string
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  bodyBytes: number
}

const ANSWER_MS = 5000
/** Between two tries of a server that is not there yet: there is no event to wait for. */
const POLL_MS = 20

/** One request on a connection of its own; rejects when no complete answer came in time. */
export async function ask({ url, socketPath, method, headers, body }: Question, signal: AbortSignal): Promise<Answer> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  const outgoing = request(url, { socketPath, method, headers, signal: limits, agent: false })
  // An error after the head comes out of reading the body too; without this listener it would end the program as well.
  outgoing.on('error', () => {})
  outgoing.end(body)
  const [incoming] = (await once(outgoing, 'response', { signal: limits })) as [IncomingMessage]
  let bodyBytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) bodyBytes += chunk.length
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, bodyBytes }
}

/**
 * Asks again and again until the answer is a 200; a Failure after `deadlineMs`, or as soon as `ended` tells that the
 * server is gone.
 */
export async function waitUntilAnswers(
  question: Question,
  ended: () => string | null,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const where = question.socketPath ?? question.url
  const deadline = performance.now() + deadlineMs
  for (let last = 'not asked yet'; ; await pause(POLL_MS, undefined, { signal })) {
    const end = ended()
    if (end !== null)
      throw new Failure('BENCH_NOT_READY', `waiting for an answer failed: ${where}: the program ended with ${end}`)
    try {
      const { status } = await ask(question, signal)
      if (status === 200) return
      last = `status ${status}`
    } catch (error) {
      signal.throwIfAborted()
      last = reasonOf(error)
    }
    if (performance.now() > deadline) {
      throw new Failure(
        'BENCH_NOT_READY',
        `waiting for an answer failed: ${where}: none within ${deadlineMs} ms, last: ${last}`,
      )
    }
  }
}

/** `count` TCP ports of 127.0.0.1 that nobody listens on now, chosen by the kernel, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}
