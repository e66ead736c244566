/**
 * `daimyo get PATH [INI] [-i]`: one GET to the first listener of a running server, as curl would do it. Must stay true:
 * the body goes out as it comes in, never held in memory, but a terminal gets no control characters of it; a status of
 * 400 and above ends with 1.
 */

import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import type { BoundAddress } from '../../kit/options/values/value-types.js'
import { connectUnix } from '../listen/socket-file.js'
import { printable } from '../log/printable.js'
import type { Opener } from '../user/guarded-path.js'

/** `headers`: print the status line and the headers first (`-i`). `timeoutMs`: longest silence. */
export interface GetOptions {
  path: string
  /** As which user to connect to a unix socket whose path root alone does not decide about. */
  opener: Opener
  headers: boolean
  output: NodeJS.WritableStream
  timeoutMs?: number
}

/**
 * Asks and prints; Failures: `usage` (64) for a path that cannot be asked for, `not-running` (69), `no-answer` (69).
 */
export async function getCommand(address: BoundAddress, options: GetOptions): Promise<number> {
  if (!/^\/[\x21-\x7e]*$/.test(options.path)) {
    const message = `cannot get: ${JSON.stringify(options.path)}: accepted: a path that begins with / (percent-encoded where needed)`
    throw new Failure('usage', message, EXIT.usage)
  }
  const response = await ask(address, options)
  try {
    if (options.headers) options.output.write(headFor(options.output, response))
    if (isTerminal(options.output))
      await pipeline(response.setEncoding('utf8'), fitForTerminal, options.output, { end: false })
    else await pipeline(response, options.output, { end: false })
  } catch (error) {
    // EPIPE: the reader of our output (head) has seen enough.
    if (codeOf(error) !== 'EPIPE') throw noAnswer(address, `the answer broke off: ${reasonOf(error)}`)
  }
  return (response.statusCode ?? 0) >= 400 ? EXIT.failed : EXIT.ok
}

/** The address of a URL from a status report: `http://127.0.0.1:8080`, `unix:/run/x.sock`. */
export function addressOf(url: string): BoundAddress {
  if (url.startsWith('unix:')) return { kind: 'unix', path: url.slice('unix:'.length) }
  const { hostname, port } = new URL(url)
  return { kind: 'tcp', host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
}

function ask(address: BoundAddress, options: GetOptions): Promise<IncomingMessage> {
  const { timeoutMs = 60_000 } = options
  return new Promise((resolve, reject) => {
    const asked = request({ ...target(address, options.opener), path: options.path, timeout: timeoutMs }, resolve)
    asked.on('timeout', () => asked.destroy(new Error(`silent for ${timeoutMs} ms`)))
    asked.on('error', error => reject(askFailure(address, error)))
    asked.end()
  })
}

function target(address: BoundAddress, opener: Opener): RequestOptions {
  if (address.kind === 'unix') return { createConnection: () => connectUnix(address.path, opener), host: 'localhost' }
  // The wildcard addresses are for listening; a client connects to the loopback.
  const host = { '': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' }[address.host] ?? address.host
  return { host, port: address.port, agent: false }
}

function isTerminal(output: NodeJS.WritableStream): boolean {
  return 'isTTY' in output && output.isTTY === true
}

async function* fitForTerminal(body: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const text of body) yield printable(text)
}

/** On a terminal lines end with LF instead of CRLF. */
function headFor(output: NodeJS.WritableStream, response: IncomingMessage): string {
  const head = printHead(response)
  return isTerminal(output) ? printable(head.replaceAll('\r\n', '\n')) : head
}

function printHead(response: IncomingMessage): string {
  const lines = [`HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`]
  for (let at = 0; at < response.rawHeaders.length; at += 2)
    lines.push(`${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

function askFailure(address: BoundAddress, error: unknown): Failure {
  if (['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))) {
    return new Failure('not-running', `not running: nobody listens on ${describe(address)}`, EXIT.unavailable)
  }
  return noAnswer(address, reasonOf(error))
}

function noAnswer(address: BoundAddress, why: string): Failure {
  return new Failure('no-answer', `no answer: ${describe(address)}: ${why}`, EXIT.unavailable)
}

function describe(address: BoundAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`
}
