/**
 * Answers an exchange with a file, if one of the folders has it. Called by `phases.ts`; the decisions about the file are in `static-files.ts`, the
 * reading is in `static-copy.ts`, here they meet a client.
 */

import { codeOf } from '../kit/failure.js'
import { httpDate, monotonicMs } from './clock.js'
import { type ErrorCode, titleOf } from './error-response.js'
import type { Exchange } from './exchange.js'
import { headerValue } from './request-head.js'
import { pathBelow, type Route } from './route-table.js'
import { type ByteSink, copyFileTo } from './static-copy.js'
import { answerForDirectory, openStatic, type StaticAnswer, type StaticRequest } from './static-files.js'

/** `none`: no such file. `broken`: the file changed while it was sent, the client must see that its answer is not complete. */
export type FileOutcome =
  | { kind: 'none' }
  | { kind: 'sent'; close: boolean }
  | { kind: 'broken' }
  | { kind: 'error'; code: ErrorCode }

export async function serveFile(exchange: Exchange, folders: readonly string[], route: Route): Promise<FileOutcome> {
  const { head } = exchange
  const query = head.target.indexOf('?')
  const request: StaticRequest = { method: head.method, header: name => headerValue(head, name) }
  if (query >= 0) request.query = head.target.slice(query)
  const path = route.kind === 'static' ? pathBelow(route, exchange.path) : exchange.path
  try {
    if (route.kind === 'static' && exchange.path === route.mount && route.mount !== '/') {
      // Without its slash a mount's relative links would point beside it.
      return await send(exchange, answerForDirectory(route.mount, request))
    }
    for (const folder of folders) {
      const answer = await openStatic(folder, path, request)
      if (answer !== null) return await send(exchange, answer)
    }
  } catch (error) {
    if (codeOf(error) === 'no-files') return { kind: 'error', code: 'no-files' }
    if (codeOf(error) === 'file-unreadable') return { kind: 'error', code: 'file-unreadable' }
    throw error
  }
  return { kind: 'none' }
}

async function send(exchange: Exchange, answer: StaticAnswer): Promise<FileOutcome> {
  if (exchange.finished) {
    answer.file?.close()
    return { kind: 'broken' }
  }
  const { client } = exchange
  const close = client.closing
  const head = printHead(answer, close)
  exchange.status = answer.status
  exchange.firstByteMs = monotonicMs()
  exchange.dispatchMs = exchange.startMs
  if (answer.file === null) {
    exchange.answerBegun = true
    exchange.sentBytes = head.length
    client.write(head)
    return { kind: 'sent', close }
  }
  const copy = copyFileTo(
    { file: answer.file, start: answer.start, bodyBytes: answer.bodyBytes },
    sinkOf(exchange),
    head,
  )
  exchange.cancel = () => copy.cancel()
  const end = await copy.finished
  exchange.sentBytes = end.sentBytes
  if (end.ending === 'complete') return { kind: 'sent', close }
  return end.sentBytes === 0 && end.ending === 'failed'
    ? { kind: 'error', code: 'file-unreadable' }
    : { kind: 'broken' }
}

function sinkOf(exchange: Exchange): ByteSink {
  const { client } = exchange
  return {
    write: chunk => {
      exchange.answerBegun = true
      return client.write(chunk)
    },
    whenWritable: callback => client.whenWritable(callback),
    isFlushedWhenWritable: true,
  }
}

function printHead(answer: StaticAnswer, close: boolean): string {
  let head = `HTTP/1.1 ${titleOf(answer.status)}\r\nDate: ${httpDate()}\r\n`
  for (const [name, value] of answer.headers) head += `${name}: ${value}\r\n`
  return `${head}Connection: ${close ? 'close' : 'keep-alive'}\r\n\r\n`
}
