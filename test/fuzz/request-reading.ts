/**
 * What a reader understands of a client's bytes, and how our parser understands them: the connection's reading loop without
 * sockets. Used by the test that compares it with Node's reading, and by the fuzzing program.
 */

import { ChunkedDecoder } from '../../proxy/chunked-body.js'
import { isRefusal } from '../../proxy/refusal.js'
import { parseRequestHead, type RequestHead } from '../../proxy/request-head.js'

/** `complete`: the body has ended; `refused`: the reader rejected it. Neither: more bytes would be needed. */
export interface BodyReading {
  body: string
  trailers: string[]
  complete: boolean
  refused: boolean
}

export interface OurRequest extends BodyReading {
  head: RequestHead
}

/** The requests that we read in `input` (latin1), up to the first that is refused, cut, or the last of its connection. */
export function readAsProxy(input: string): OurRequest[] {
  const requests: OurRequest[] = []
  let rest = input
  for (;;) {
    while (rest.startsWith('\r\n')) rest = rest.slice(2)
    const headEnd = rest.indexOf('\r\n\r\n')
    if (headEnd === -1) return requests
    const head = parseRequestHead(rest.slice(0, headEnd))
    if (isRefusal(head)) return requests
    rest = rest.slice(headEnd + 4)
    const { consumed, ...body } = head.chunked ? readChunks(rest) : readLength(rest, head.length)
    requests.push({ head, ...body })
    // After an upgrade the bytes may be another protocol's; who follows is decided by the application's answer.
    if (!body.complete || !head.keepAlive || head.upgrade !== null) return requests
    rest = rest.slice(consumed)
  }
}

function readLength(rest: string, length: number): BodyReading & { consumed: number } {
  const body = rest.slice(0, length)
  return { body, trailers: [], complete: body.length === length, refused: false, consumed: body.length }
}

function readChunks(rest: string): BodyReading & { consumed: number } {
  const decoder = new ChunkedDecoder()
  let body = ''
  const decoded = decoder.decode(Buffer.from(rest, 'latin1'), data => {
    body += data.toString('latin1')
  })
  if (isRefusal(decoded)) return { body, trailers: [], complete: false, refused: true, consumed: 0 }
  return { body, trailers: decoder.trailers, complete: decoded.done, refused: false, consumed: decoded.consumed }
}
